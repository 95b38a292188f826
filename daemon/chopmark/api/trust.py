"""Whom the TLS door trusts: the files' newest state, looked at now and then, and what it refuses.

1. Every handshake uses what is in force when it begins (docs/decisions/0013-tls-door.md).
2. A file that is wrong changes nothing, but for an alarm and a line in the log.
3. A connection is only as good as its certificate: one that has expired, or is on a new list, is
   refused at its next request; so is every one once a CA was taken out, for it must shake hands
   again. A request that runs by then, such as a stream that stays open for days, is cut off.
"""

import asyncio
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final, Protocol, Self

from chopmark.api.certificates import (
    Certificate,
    Material,
    TlsFiles,
    read_material,
    stamp,
)
from chopmark.api.identity import read_refused
from chopmark.api.problems import Problem
from chopmark.api.refusals import NAMES, SERVER_LOG
from chopmark.core.errors import ConfigurationError
from chopmark.core.wording import format_time

PERIOD: Final = 5.0
"""Seconds between two looks at the files."""
NOTICE: Final = 30 * 86_400
"""Seconds before the end of our own certificate at which an alarm begins."""
PEER: Final[ContextVar[str]] = ContextVar("tls peer", default="")
"""The address of who is shaking hands, for the log."""
_log = logging.getLogger(__name__)
_REFUSALS: Final = logging.getLogger(SERVER_LOG)
_KNOWN: Final = frozenset((10, 12, 23))
"""X509_V_ERR_… of OpenSSL that clients of ours meet: it has expired, the CA's list has, or it was
revoked. Each such certificate has a line of its own."""
_CLOSE: Final = (("connection", "close"),)
_AGAIN: Final = Problem(
    503,
    "certificate-recheck",
    "the CAs that the gateway trusts have changed since this connection was made",
    "connect again; nothing was done",
    (("retry-after", "1"), *_CLOSE),
)


class Shown(Protocol):
    """A connection whose client has shown a certificate."""

    def lapsed(self) -> Problem | None:
        """Why it is good no more, if so."""
        ...

    def cut_off(self) -> bool:
        """Close it, unless it is idle: then its next request hears why."""
        ...


class Trust:
    """What is in force of the files.

    Args:
        files: where they are.
        now: seconds since the Unix epoch.

    Raises:
        ConfigurationError: as `read_material`.
    """

    def __init__(self, files: TlsFiles, now: Callable[[], float] = time.time) -> None:
        self._files = files
        self._now = now
        self._stamp = stamp(files)
        self._wrong: ConfigurationError | None = None
        self._warned: set[str] = set()
        self._turn = asyncio.Lock()
        self.shown: set[Shown] = set()
        """Connections that are open."""
        self.material = read_material(files, _Handshake)
        self.context: ssl.SSLContext = _Newest(self)

    async def watch(self) -> None:
        """Look at the files for ever."""
        while True:
            self._warn()
            await asyncio.sleep(PERIOD)
            await self.look()

    async def look(self) -> None:
        """Take in what has changed, and end what is trusted no more.

        One after the other: who looks while another one reads would take the files for unchanged.
        """
        async with self._turn:
            await self._take_in()
        cut: Counter[str] = Counter()
        for connection in list(self.shown):
            problem = connection.lapsed()
            if problem is not None and connection.cut_off():
                cut[problem.code] += 1
        for code, count in cut.items():
            _log.warning("cut off %d connections in the middle of a request: %s", count, code)

    async def _take_in(self) -> None:
        found = await asyncio.to_thread(stamp, self._files)
        if found == self._stamp:
            return
        self._stamp = found
        try:
            self.material = await asyncio.to_thread(read_material, self._files, _Handshake)
        except ConfigurationError as error:
            self._wrong = error
            _log.error("%s goes on with what it had: %s", self._files.section, error)
        else:
            self._wrong = None
            own = self.material.own
            _log.info("%s has new files: our certificate is %s", self._files.section, own)

    def lapsed(self, certificate: Certificate, met: Material) -> Problem | None:
        """Why a certificate that was good at its handshake is so no more.

        Args:
            certificate: of a client.
            met: what was in force then.
        """
        if self._now() > certificate.not_after:
            return _lapse("certificate-expired", f"your certificate ({certificate}) has expired")
        if met is self.material:
            return None
        if certificate.serial in self.material.revoked:
            return _lapse("certificate-revoked", f"your certificate ({certificate}) was revoked")
        return None if met.authorities <= self.material.authorities else _AGAIN

    @property
    def wrong(self) -> ConfigurationError | None:
        """What is wrong with the newest files, which are not in force then."""
        return self._wrong

    def alarms(self) -> list[dict[str, str]]:
        """What an operator must look after."""
        found: list[tuple[str, str, str]] = []
        now, own, due = self._now(), self.material.own, self.material.lists_due
        if self._wrong is not None:
            found.append(("tls-files-wrong", self._wrong.message, self._wrong.hint))
        if now > own.not_after - NOTICE:
            when = "has expired at" if now > own.not_after else "expires at"
            whose = f"the certificate of {self._files.section}"
            message = f"{whose} ({own}) {when} {_time(own.not_after)}"
            found.append(("tls-certificate-expiring", message, "put a new one in place"))
        if due is not None and now > due[0]:
            when = "since" if now > due[1] else "from"
            message = f"a list of {self._files.section} crl is out of date {when} {_time(due[1])}"
            hint = "fetch the CA's newest list: without it none of its certificates is taken"
            found.append(("tls-crl-expiring", message, hint))
        return [{"code": code, "message": text, "hint": hint} for code, text, hint in found]

    def _warn(self) -> None:
        """A line in the log for each alarm, once."""
        alarms = {alarm["code"]: alarm for alarm in self.alarms()}
        for code in alarms.keys() - self._warned - {"tls-files-wrong"}:
            _log.warning("%s: %s", alarms[code]["message"], alarms[code]["hint"])
        self._warned = set(alarms)


class _Newest(ssl.SSLContext):
    """The context that the server is given; each connection gets what is in force."""

    _trust: Trust

    def __new__(cls, trust: Trust) -> Self:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._trust = trust
        return made

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as its base class has it
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection."""
        context = self._trust.material.context
        made = context.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(made, _Handshake), "the context makes these"  # noqa: S101
        made.incoming, made.outgoing, made.peer = incoming, outgoing, PEER.get()
        return made


class _Handshake(ssl.SSLObject):
    """A connection that lets the client know why it is refused.

    The event loops close a connection whose handshake failed before the alert is sent. Here the
    failure looks like a wait for more, so that the alert goes out; then the client hangs up, or
    the time for a handshake ends.
    """

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    peer: str
    _failed = False

    def do_handshake(self) -> None:
        """Go on with it."""
        if self._failed:
            self.incoming.read()  # whatever the client sends now
            raise ssl.SSLWantReadError
        try:
            super().do_handshake()
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            self._tell(error)
            if not self.outgoing.pending:
                raise
            self._failed = True
            raise ssl.SSLWantReadError from error

    def _tell(self, error: ssl.SSLError) -> None:
        if not isinstance(error, ssl.SSLCertVerificationError):
            why = (error.reason or "no TLS").lower().replace("_", " ")
            extra = {"reason": "no-handshake"}
            _REFUSALS.warning("no TLS with %s: %s", self.peer, why, extra=extra)
            return
        shown = read_refused(self)
        whose = "somebody" if shown is None else str(shown)
        # Anybody can make up others, and come from ever new ports.
        about = f" of {whose}" if error.verify_code in _KNOWN else ""
        if about:
            NAMES.count(f"refused {whose}", "bad-certificate")
        kind = f"refused a client certificate{about}: {error.verify_message}"
        extra = {"reason": "bad-certificate", "_kind": kind}
        text = "refused the client certificate of %s at %s: %s"
        _REFUSALS.warning(text, whose, self.peer, error.verify_message, extra=extra)


def _lapse(code: str, detail: str) -> Problem:
    return Problem(401, code, detail, "use a new one, and have it made known here", _CLOSE)


def _time(seconds: float) -> str:
    return format_time(int(seconds * 1000))
