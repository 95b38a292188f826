"""A bundle from the source into a file: bounded by the disk, and going on where it broke off."""

import errno
import os
import time
from collections.abc import Callable, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from chopmark.admin.release import MAX_BUNDLE, Release, refuse
from chopmark.admin.source import Body, Source
from chopmark.core.errors import ChopmarkError, TryAgainError, UnreachableError
from chopmark.service.storage import measure

TRIES: Final = 5
"""Connections that bring nothing more, one after the other, after which it is given up."""
PAUSE: Final = 2.0
"""Seconds before the next one; twice as long before each after that."""
Tell = Callable[[Mapping[str, Any]], None]


class Download:
    """One bundle into one file.

    Args:
        source: where it is.
        release: which one.
        part: the file; what is in it already is taken for its beginning.
        alarm: part of the disk that may be in use.
        tell: hears of each percent: `version`; `have`, `size` in bytes; `rate` in bytes a second.
        pause: see `PAUSE`.
    """

    def __init__(
        self,
        source: Source,
        release: Release,
        part: Path,
        alarm: float,
        tell: Tell,
        pause: float = PAUSE,
    ) -> None:
        self._source, self._release, self._part = source, release, part
        self._alarm, self._pause, self._tell = alarm, pause, tell
        self._shown = -1
        self._best = part.stat().st_size if part.exists() else 0
        self._clock = _Clock()

    def run(self) -> None:
        """Fill the file until it is the bundle. Unless the source is away, an error removes it.

        Raises:
            UnreachableError: `firmware-source-away`.
            MissingError: `no-update`.
            RefusedError: `firmware-refused`, `firmware-source-wrong`.
            TryAgainError: `firmware-no-room`.
        """
        try:
            if not self._is_whole():
                self._try_often()
                if not self._is_whole():
                    raise refuse("the bundle is not the one that the note was signed for")
        except UnreachableError:
            raise
        except (ChopmarkError, OSError) as error:
            self._part.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room("the disk is full") from error
            raise

    def _is_whole(self) -> bool:
        if not self._part.exists():
            return False
        with self._part.open("rb") as file:
            return file_digest(file, "sha256").hexdigest() == self._release.digest

    def _try_often(self) -> None:
        tries = 0
        while True:
            before = self._best
            try:
                if self._get():
                    return
                broken = UnreachableError("firmware-source-away", "the connection broke off")
            except UnreachableError as error:
                broken = error
            tries = 0 if self._best > before else tries + 1
            if tries == TRIES:
                raise broken
            time.sleep(self._pause * 2**tries)

    def _get(self) -> bool:
        """All that one connection gives; whether it was all."""
        with self._part.open("ab") as file:
            have = file.tell()
            name = f"{self._release.sort}.raucb"
            with self._source.open(name, have) as body:
                if body.start != have:
                    file.truncate(body.start)
                have = body.start
                self._check_room(body)
                for piece in body.pieces():
                    have += len(piece)
                    if have > body.size:
                        raise refuse("the bundle is longer than the source said")
                    file.write(piece)
                    self._show(have, body.size)
                file.flush()
                os.fsync(file.fileno())
            return have == body.size

    def _check_room(self, body: Body) -> None:
        if not 0 < body.size <= MAX_BUNDLE:
            raise refuse(f"a bundle of {body.size} bytes is none: at most {MAX_BUNDLE}")
        disk = measure(self._part.parent)
        coming = body.size - body.start + body.size  # root's copy, too
        if disk.used + coming > self._alarm * disk.total:
            raise _no_room(f"it needs {coming} bytes, and the disk would be over its alarm")

    def _show(self, have: int, size: int) -> None:
        self._best = max(self._best, have)
        self._clock.count(have)
        if (percent := have * 100 // size) != self._shown:
            self._shown = percent
            told = {"version": self._release.version, "have": have, "size": size}
            self._tell({**told, "rate": self._clock.rate(have)})


class _Clock:
    """Bytes a second since the first byte of this run."""

    def __init__(self) -> None:
        self._start: tuple[float, int] | None = None

    def count(self, have: int) -> None:
        if self._start is None or have < self._start[1]:
            self._start = time.monotonic(), have

    def rate(self, have: int) -> int:
        start, first = self._start or (time.monotonic(), have)
        return int((have - first) / max(time.monotonic() - start, 0.001))


def _no_room(why: str) -> TryAgainError:
    hint = "make room (`show disk`), then `firmware fetch`; or bring it on a USB stick"
    return TryAgainError("firmware-no-room", f"no room for the release: {why}", hint=hint)
