"""Routes for people at the page: signing in and out; and, for operators, accounts and sessions."""

from typing import Final

from chopmark.api.signin.operators import (
    AccountBody,
    AccountOut,
    ClientBody,
    EndedOut,
    NameBody,
    SessionOfOut,
    UnlockedOut,
)
from chopmark.api.signin.own import CredentialsBody, PasswordBody, SessionOut
from chopmark.api.spec import examples
from chopmark.api.spec.model import (
    BODY,
    KNOWN,
    TEXT,
    UNIX,
    Answer,
    Content,
    Operation,
    Problems,
    merge,
)

_PATH: Final = "/v1/session"
_SESSION: Final = Content(SessionOut, example=examples.SESSION)
_ACCOUNTS: Final = Content(list[AccountOut], example=[examples.ACCOUNT])
_NAMED: Final = {"name": "anna"}
_SECRET: Final = _NAMED | {"password": "…"}
_PAGE: Final[Problems] = {409: ("no-sign-in-here",)}
"""Of routes at the page's listener only."""
_PROVED: Final[Problems] = merge(_PAGE, {401: ("wrong-credentials",), 429: ("locked-out",)})
_WEAK: Final[Problems] = {422: ("weak-password",)}
_NONE: Final[Problems] = {404: ("no-such-account",)}
_COOKIE: Final = {"Set-Cookie": "the session's id, for the browser alone"}
_TO: Final = {"Location": "where the browser goes on", "Set-Cookie": "what it must bring back"}
_ON: Final = Content(media=TEXT, example="")


def _post(
    path: str, name: str, summary: str, answer: Content, body: Content, problems: Problems
) -> Operation:
    status = 201 if path.endswith("/add") else 200
    answers = {status: Answer(summary, answer)}
    every = merge(BODY, problems)
    return Operation("post", path, name, "page", summary, answers, every, body=body)


OPERATIONS: Final = (
    Operation(
        "get",
        _PATH,
        "readSession",
        "page",
        "Who asks, and how one may sign in",
        {200: Answer("Who asks", _SESSION)},
    ),
    Operation(
        "post",
        _PATH,
        "signIn",
        "page",
        "Sign in by name and password",
        {201: Answer("Signed in", _SESSION, _COOKIE)},
        merge(BODY, _PROVED),
        body=Content(CredentialsBody, example=_SECRET),
    ),
    Operation(
        "delete",
        _PATH,
        "signOut",
        "page",
        "Sign out",
        {200: Answer("Signed out", Content(SessionOut, example=examples.STRANGER))},
        _PAGE,
    ),
    Operation(
        "post",
        f"{_PATH}/password",
        "changePassword",
        "page",
        "Give oneself another password",
        {200: Answer("Signed in anew", _SESSION, _COOKIE)},
        merge(BODY, _PROVED, {409: ("no-password",)}, _WEAK),
        body=Content(PasswordBody, example={"old": "…", "new": "…"}),
    ),
    Operation(
        "get",
        f"{_PATH}/oidc",
        "startOidc",
        "page",
        "Go to the OpenID provider to sign in",
        {303: Answer("To the provider, or back to the page with what is wrong", _ON, _TO)},
        _PAGE,
    ),
    Operation(
        "get",
        f"{_PATH}/oidc/callback",
        "finishOidc",
        "page",
        "Come back from there",
        {303: Answer("Back to the page, signed in or not", _ON, _TO)},
        _PAGE,
    ),
    Operation(
        "get",
        "/v1/accounts",
        "readAccounts",
        "page",
        "The accounts",
        {200: Answer("The accounts", _ACCOUNTS)},
        KNOWN,
    ),
    _post(
        "/v1/accounts/add",
        "addAccount",
        "Make an account",
        _ACCOUNTS,
        Content(AccountBody, example=_SECRET | {"roles": ["verifier"]}),
        merge(
            UNIX,
            _WEAK,
            {400: ("malformed-kind",), 409: ("account-exists",)},
            {422: ("bad-account",)},
        ),
    ),
    _post(
        "/v1/accounts/password",
        "setPassword",
        "Give an account another password",
        _ACCOUNTS,
        Content(CredentialsBody, example=_SECRET),
        merge(UNIX, _WEAK, _NONE),
    ),
    _post(
        "/v1/accounts/remove",
        "removeAccount",
        "Take an account away",
        _ACCOUNTS,
        Content(NameBody, example=_NAMED),
        merge(UNIX, _NONE),
    ),
    _post(
        "/v1/accounts/unlock",
        "unlockAccount",
        "Let an account or address be tried again",
        Content(UnlockedOut, example={"was_locked": True}),
        Content(NameBody, example=_NAMED),
        UNIX,
    ),
    Operation(
        "get",
        "/v1/sessions",
        "readSessions",
        "page",
        "Who is signed in",
        {200: Answer("The sessions", Content(list[SessionOfOut], example=[examples.SIGNED_IN]))},
        KNOWN,
    ),
    _post(
        "/v1/sessions/end",
        "endSessions",
        "End all sessions of somebody",
        Content(EndedOut, example={"ended": 1}),
        Content(ClientBody, example={"client": "user anna"}),
        KNOWN,
    ),
)
