"""Signing in at the bank's OpenID provider: the authorization code flow of OpenID Connect Core.

1. The browser is sent to the provider with `state`, `nonce` and a code challenge (PKCE, RFC 7636),
   and gets a cookie. State and cookie are one random value; nonce and code verifier follow from it
   under a key of this process. So nothing is kept for those who never come back, and nobody else
   can know them.
2. Who comes back brings the cookie, the same state, and a code, each once, within `WITHIN` seconds.
   An `iss` beside them is the provider's, and is there if that says so (RFC 9207).
3. Before the provider is asked about a code, `begin` is: nobody may have us try many. The code is
   changed for an ID token over TLS, with the client's secret, if it has one.
4. The ID token is signed by a key of the provider's, by an algorithm of `ALGORITHMS`, and is from
   our issuer, for our client, of now, and with our nonce (§3.1.3.7). Its groups give the roles.
5. Metadata and keys are kept for some minutes. A token under a key that is not among them has them
   fetched anew, once in `PAUSE` seconds at most: providers change their keys.

The parts of the protocols are Authlib's and joserfc's; what is ours is the HTTP, and what is kept.
"""

import base64
import hmac
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import KeySet

from chopmark.api.identity import Role
from chopmark.api.signin.desk import Known
from chopmark.api.signin.fetching import Fetcher
from chopmark.api.slots import Slots
from chopmark.core.errors import ForbiddenError, UnreachableError

WITHIN: Final = 600
FRESH: Final = 600.0
"""Seconds for which metadata and keys are kept."""
PAUSE: Final = 10.0
LEEWAY: Final = 60
"""Seconds by which the provider's clock may differ from ours."""
MOST_USED: Final = 4096
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""Signatures only: neither `none` nor what is made with the client's secret."""
_MAX_SUBJECT: Final = 255
"""Characters, of ASCII (OpenID Connect Core §2)."""
_MAX_NAME: Final = 64
_SAYS_ISSUER: Final = "authorization_response_iss_parameter_supported"


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """What is agreed with the provider.

    Attributes:
        issuer: its identifier, an HTTPS URL.
        client_id: ours there.
        secret: ours there; None if we are a public client.
        redirect: our callback's URL, as it is registered there.
        scope: what is asked for.
        claim: of the ID token that names a person's groups.
        groups: roles and kinds by group.
    """

    issuer: str
    client_id: str
    secret: str | None = field(repr=False)
    redirect: str
    scope: str
    claim: str
    groups: Mapping[str, tuple[frozenset[Role], frozenset[str]]]


class Oidc:
    """Implements `desk.Provider`.

    Args:
        settings: what is agreed.
        context: whom to trust as the provider, by TLS.
        now: seconds since the Unix epoch.
    """

    def __init__(
        self,
        settings: OidcSettings,
        context: ssl.SSLContext,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._fetcher = Fetcher(context)
        self._now = now
        self._key = secrets.token_bytes(32)
        self._used: dict[str, float] = {}
        self._slots = Slots(8, "people who come back from the OpenID provider", 5)
        self._metadata: tuple[float, OpenIDProviderMetadata] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def start(self) -> tuple[str, str]:
        """Where to send a browser, and its cookie (`oidc-unreachable`, `overloaded`)."""
        with self._slots.taken():
            metadata = await self._read_metadata()
        state, until = secrets.token_urlsafe(32), int(self._now()) + WITHIN
        where = prepare_grant_uri(
            metadata["authorization_endpoint"],
            self._settings.client_id,
            "code",
            self._settings.redirect,
            self._settings.scope,
            state,
            nonce=self._derive("nonce", state),
            code_challenge=create_s256_code_challenge(self._derive("verifier", state)),
            code_challenge_method="S256",
        )
        return where, f"{state}.{until}.{self._derive(f'until {until}', state)}"

    async def finish(
        self, query: str, pending: str | None, begin: Callable[[], None] = lambda: None
    ) -> Known:
        """Who has come back; see `desk.Provider.finish`."""
        given = _read_query(query)
        state = self._check_pending(given, pending)
        if "code" not in given:
            raise _refused(f"the provider says {given.get('error', 'nothing')[:100]!r}")
        with self._slots.taken():
            await self._check_issuer(given)
            begin()
            tokens = await self._exchange(given["code"], self._derive("verifier", state))
            claims = await self._check_token(tokens, self._derive("nonce", state))
        return self._know(claims)

    def _check_pending(self, given: Mapping[str, str], pending: str | None) -> str:
        """The state, if this browser was sent to the provider, and a while ago at most."""
        state, _, rest = (pending or "").partition(".")
        until, _, seal = rest.partition(".")
        good = (
            hmac.compare_digest(seal.encode(), self._derive(f"until {until}", state).encode())
            and hmac.compare_digest(given.get("state", "").encode(), state.encode())
            and int(until) > self._now()
        )
        if not good or state in self._used:
            raise _refused("this browser was not sent to the provider just now")
        self._used = {one: end for one, end in self._used.items() if end > self._now()}
        if len(self._used) >= MOST_USED:
            del self._used[next(iter(self._used))]
        self._used[state] = float(until)
        return state

    async def _check_issuer(self, given: Mapping[str, str]) -> None:
        """Refuse what another provider says (RFC 9207 §2.4)."""
        promised = (await self._read_metadata()).get(_SAYS_ISSUER) is True
        if given.get("iss", "" if promised else self._settings.issuer) != self._settings.issuer:
            raise _refused("the answer is another provider's")

    async def _exchange(self, code: str, verifier: str) -> dict[str, Any]:
        """The tokens for a code (RFC 6749 §4.1.3)."""
        settings, metadata = self._settings, await self._read_metadata()
        body = prepare_token_request(
            "authorization_code", "", settings.redirect, code=code, code_verifier=verifier
        )
        known = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = "client_secret_basic" in known
        method = "client_secret_basic" if basic else "client_secret_post"
        auth = ClientAuth(
            settings.client_id, settings.secret, method if settings.secret else "none"
        )
        where, headers = metadata["token_endpoint"], dict(_FORM)
        where, headers, body = auth.prepare("POST", where, headers, body)
        tokens = await self._fetcher.post(where, body, headers)
        if not isinstance(tokens.get("id_token"), str):
            raise _refused(f"the provider takes no such code: {str(tokens.get('error'))[:100]!r}")
        return tokens

    async def _check_token(self, tokens: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is good (OpenID Connect Core §3.1.3.7)."""
        try:
            token = await self._verify(tokens["id_token"])
            expected = {"iss": self._settings.issuer, "aud": self._settings.client_id}
            options: Any = {
                name: {"essential": True, "value": value} for name, value in expected.items()
            }
            params = {"nonce": nonce, "client_id": self._settings.client_id}
            access = {"access_token": tokens.get("access_token")}
            claims = CodeIDToken(token.claims, token.header, options, params | access)
            claims.validate(int(self._now()), LEEWAY)
        except ClaimError as error:
            raise _refused(f"its token's claim {error.claim!r} is wrong") from error
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _refused("its token is not signed as it should be") from error
        return dict(claims)

    async def _verify(self, text: str) -> jwt.Token:
        """The token, if a key of the provider's has signed it; perhaps one that is new."""
        fetched, keys = await self._read_keys()
        try:
            return jwt.decode(text, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            if self._now() - fetched < PAUSE:
                raise
        self._keys = None
        _, keys = await self._read_keys()
        return jwt.decode(text, keys, algorithms=ALGORITHMS)

    def _know(self, claims: Mapping[str, Any]) -> Known:
        subject = claims["sub"]
        plain = isinstance(subject, str) and subject.isascii() and subject.isprintable()
        if not plain or not 0 < len(subject) <= _MAX_SUBJECT:
            raise _refused("its token's claim 'sub' is wrong")
        found = claims.get(self._settings.claim)
        groups = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        known = self._settings.groups
        granted = [known[one] for one in groups if isinstance(one, str) and one in known]
        if not granted:
            message = "the OpenID provider knows you, and none of your groups has a role here"
            hint = "an operator adds [[api.oidc.group]], or the provider's puts you into a group"
            raise ForbiddenError("no-role-here", message, hint=hint)
        roles = frozenset[Role]().union(*(one for one, _ in granted))
        kinds = frozenset[str]().union(*(one for _, one in granted))
        name = str(claims.get("preferred_username") or claims.get("name") or subject)[:_MAX_NAME]
        return Known(subject, name if name.isprintable() else subject[:_MAX_NAME], roles, kinds)

    async def _read_metadata(self) -> OpenIDProviderMetadata:
        known = self._metadata
        if known is not None and self._now() - known[0] < FRESH:
            return known[1]
        issuer = self._settings.issuer
        found = await self._fetcher.get(get_well_known_url(issuer, external=True))
        if found.get("issuer") != issuer:
            raise _unusable(f"it calls itself {str(found.get('issuer'))[:200]!r}, and not {issuer}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            url = found.get(name)
            if not isinstance(url, str) or urlsplit(url).scheme != "https":
                raise _unusable(f"its {name} is no HTTPS URL")
        metadata = OpenIDProviderMetadata(found)
        self._metadata = self._now(), metadata
        return metadata

    async def _read_keys(self) -> tuple[float, KeySet]:
        known = self._keys
        if known is None or self._now() - known[0] >= FRESH:
            metadata = await self._read_metadata()
            found: Any = await self._fetcher.get(metadata["jwks_uri"])
            try:
                known = self._now(), KeySet.import_key_set(found)
            except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
                raise _unusable("its keys cannot be read") from error
            self._keys = known
        return known

    def _derive(self, what: str, state: str) -> str:
        made = hmac.digest(self._key, f"{what}\n{state}".encode("utf-8", "replace"), sha256)
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}


def _read_query(query: str) -> dict[str, str]:
    """Parameters, each of which is there once."""
    try:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=32)
    except ValueError as error:
        raise _refused("the answer is not what it should be") from error
    if any(len(values) > 1 for values in found.values()):
        raise _refused("the answer says one thing twice")
    return {name: values[0] for name, values in found.items()}


def _refused(why: str) -> ForbiddenError:
    message = f"signing in at the OpenID provider has failed: {why}"
    return ForbiddenError("oidc-refused", message, hint="begin again at the page")


def _unusable(why: str) -> UnreachableError:
    message = f"the OpenID provider cannot be used: {why}"
    hint = "an operator looks at the provider, and at [api.oidc]"
    return UnreachableError("oidc-unreachable", message, hint=hint)
