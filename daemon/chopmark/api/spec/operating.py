"""Routes for operators and officers, and for those who want a checkpoint cosigned."""

from typing import Final

from chopmark.api.console import ConsoleRecordsBody, ConsoleTaken
from chopmark.api.evidence import ReleaseBody
from chopmark.api.hsm import MaintenanceBody, PinBody
from chopmark.api.keys import GenerateBody, KeyBody, LeftoverBody
from chopmark.api.roster import RosterBody, RosterPinBody, SignBody
from chopmark.api.spec import examples
from chopmark.api.spec.model import (
    BODY,
    NAMED,
    STORING,
    TEXT,
    TOKEN,
    UNIX,
    Answer,
    Content,
    Operation,
    Problems,
    merge,
)
from chopmark.api.spec.shapes import KeyMade, KeyOut, NoteOut, ReleaseOut, RosterOut
from chopmark.api.spec.state_shapes import HsmOut

_RECORD: Final = {
    "number": 7,
    "at": "2026-11-22T13:00:00.000Z",
    "technician": "chan",
    "action": "console.login",
    "outcome": "done",
    "about": {"role": "service"},
}
_HSM: Final = Content(HsmOut)
_KEYS: Final = Content(list[KeyOut], example=[examples.KEY])
_ROSTER: Final = Content(RosterOut, example=examples.NOT_PINNED)
_NOTE: Final = {"note": examples.ROSTER}
_SUBMISSION: Final = f"old 3\n…\n\n{examples.NOTE}"
_BAD_ROSTER: Final[Problems] = {
    400: ("malformed-roster", "malformed-note"),
    409: ("roster-signed", "roster-lost", "roster-conflict"),
    422: ("bad-roster",),
}
_BAD_RELEASE: Final[Problems] = {
    400: ("malformed-release",),
    404: ("no-such-evidence", "no-roster"),
    409: ("released-already",),
    422: (
        "bad-signature",
        "unknown-officer",
        "officers-missing",
        "certificate-expired",
        "other-log",
        "own-log",
        "no-such-branch",
        "release-out-of-date",
    ),
}
_NO_KEY: Final[Problems] = {404: ("no-such-key",)}
_IN_USE: Final[Problems] = {422: ("key-in-use", "ambiguous-key")}
_LINE: Final = "— bank-hk.example/hk-1/witness AWui8Sk5…\n"
_WITNESS: Final[Problems] = {
    400: ("malformed-note", "malformed-base64", "malformed-checkpoint"),
    403: ("not-signed-by-log",),
    404: ("unknown-log", "no-witness-key"),
    408: ("body-too-slow",),
    413: ("body-too-large",),
    422: ("bad-consistency", "bad-root", "log-forked"),
    503: ("not-replicated", "clock-wrong", "floor-unknown", "log-behind", "confirming"),
}


def _post(
    path: str,
    name: str,
    tag: str,
    summary: str,
    answer: Content,
    body: Content | None,
    problems: Problems,
    status: int = 200,
) -> Operation:
    answers = {status: Answer(summary, answer)}
    return Operation("post", path, name, tag, summary, answers, merge(BODY, problems), body=body)


OPERATIONS: Final = (
    Operation(
        "post",
        "/add-checkpoint",
        "addCheckpoint",
        "witness",
        "Have a checkpoint cosigned (C2SP tlog-witness)",
        {
            200: Answer("A signature line", Content(media=TEXT, example=_LINE)),
            409: Answer(
                "The size that is cosigned already",
                Content(media="text/x.tlog.size", example="42\n"),
            ),
        },
        merge(_WITNESS, TOKEN, STORING),
        body=Content(media=TEXT, example=_SUBMISSION),
    ),
    _post(
        "/v1/roster/signatures",
        "signRoster",
        "roster",
        "Sign a text of the roster",
        Content(NoteOut, example=_NOTE),
        Content(SignBody, example=_NOTE),
        merge(_BAD_ROSTER, TOKEN, STORING),
        201,
    ),
    _post(
        "/v1/roster/versions",
        "publishRoster",
        "roster",
        "Take a version of the roster, or a suspension",
        _ROSTER,
        Content(RosterBody, example=_NOTE),
        merge(
            _BAD_ROSTER,
            {404: ("no-roster",), 422: ("roster-unsigned", "roster-gap", "roster-early")},
            NAMED,
            STORING,
        ),
    ),
    _post(
        "/v1/roster/pin",
        "pinRoster",
        "roster",
        "Put a version in force by its fingerprint",
        _ROSTER,
        Content(RosterPinBody, example=_NOTE | {"fingerprint": "ab" * 32}),
        merge(_BAD_ROSTER, {422: ("wrong-fingerprint", "roster-older")}, NAMED, STORING),
    ),
    _post(
        "/v1/evidence/releases",
        "releaseFork",
        "roster",
        "Follow a forked log again, as two officers have signed",
        Content(ReleaseOut),
        Content(ReleaseBody, example={"release": "chopmark/release/v1\n…"}),
        merge(_BAD_RELEASE, NAMED, STORING),
    ),
    _post(
        "/v1/console/records",
        "recordConsole",
        "state",
        "Take audit records of the technicians' console",
        Content(ConsoleTaken, example={"taken": 7}),
        Content(ConsoleRecordsBody, example={"source": "ab" * 16, "records": [_RECORD]}),
        merge(UNIX, {400: ("malformed-record",)}, STORING),
    ),
    _post(
        "/v1/keys/generate",
        "generateKey",
        "hsm",
        "Make a key in the token, which signs nothing yet",
        Content(KeyMade, example=examples.KEY_MADE),
        Content(GenerateBody, example={"role": "log"}),
        merge(TOKEN, STORING),
        201,
    ),
    _post(
        "/v1/keys/activate",
        "activateKey",
        "hsm",
        "Let a key sign in place of the one before",
        _KEYS,
        Content(KeyBody, example={"vkey": examples.VKEY}),
        merge(_NO_KEY, {422: ("key-not-in-roster",)}, NAMED, STORING),
    ),
    _post(
        "/v1/keys/retire",
        "retireKey",
        "hsm",
        "Destroy a key that has ended",
        _KEYS,
        Content(KeyBody, example={"vkey": examples.VKEY}),
        merge(UNIX, _NO_KEY, _IN_USE, TOKEN, STORING),
    ),
    _post(
        "/v1/keys/destroy",
        "destroyKey",
        "hsm",
        "Destroy a key that nobody has a claim to",
        _KEYS,
        Content(LeftoverBody, example={"label": "old", "fingerprint": "ab" * 32}),
        merge(UNIX, {400: ("malformed-fingerprint",)}, _NO_KEY, _IN_USE, TOKEN),
    ),
    _post(
        "/v1/hsm/pin",
        "unlockHsm",
        "hsm",
        "Give the PIN, which is tried once",
        _HSM,
        Content(PinBody, example={"pin": "…"}),
        merge(
            {400: ("malformed-pin",)},
            UNIX,
            {409: ("hsm-ready",), 422: ("pin-at-device",)},
            TOKEN,
        ),
    ),
    _post(
        "/v1/hsm/unlatch",
        "unlatchHsm",
        "hsm",
        "Let the PIN be tried again, once",
        _HSM,
        None,
        merge(UNIX, {409: ("hsm-ready",)}, TOKEN),
    ),
    _post(
        "/v1/hsm/maintenance",
        "maintainHsm",
        "hsm",
        "Take the HSM out of use, or into use again",
        _HSM,
        Content(MaintenanceBody, example={"on": False}),
        merge(UNIX, TOKEN),
    ),
)
