"""The rows of the page: in a real Chromium, in front of the gateway that the others have filled."""

import hashlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Final

import httpx
from playwright.sync_api import Page, sync_playwright

from bench import Bench, Figures
from load import LoadFailedError
from rows import Figure

FULL: Final = 1_000_000
"""Entries below which the harness is tried, and no figure is meant."""
VISITS: Final = 7
ASKED: Final = 5
"""Times that each question about the ledger is asked."""
WHOLE: Final = 256 << 20
"""Bytes of the largest file that the browser hashes as a whole."""
LARGE: Final = 1 << 30
CHUNK: Final = 4 << 20
MEGABYTE: Final = 1e6
_READY: Final = "performance.getEntriesByName('ready')[0].startTime"
_LOADED: Final = "performance.getEntriesByType('navigation')[0].loadEventEnd"
_HASH: Final = """async () => {
  const { pool } = await import("/page/js/hash/pool.js");
  const file = document.querySelector("#bench").files[0];
  const begun = performance.now();
  const { digests } = await pool.hash(file, ["sha256"]);
  return [digests.sha256, (performance.now() - begun) / 1000];
}"""


def visit(bench: Bench) -> Figures:
    """How many ms until a page that is new can be used; the limit is a page of two bytes."""
    visits = range(VISITS if bench.scale >= FULL else 1)
    with _browser() as open_page:
        shown = [_time(open_page(), _address(bench), _READY) for _ in visits]
        bare = [_time(open_page(), f"{_address(bench)}healthz", _LOADED) for _ in visits]
    return {"page.ms": Figure(statistics.median(shown), statistics.median(bare))}


def hashing(bench: Bench) -> Figures:
    """MB/s of a file that is streamed, and of the largest one that is not."""
    part = min(1, bench.scale / FULL)
    sizes = {"page.hash": int(LARGE * part), "page.hash.whole": int(WHOLE * part)}
    figures = {}
    with _browser() as open_page:
        for name, size in sizes.items():
            page = open_page()
            page.goto(_address(bench))
            figures[name] = _hash(page, bench.folder / "hashed.bin", size)
    return figures


def search(bench: Bench) -> Figures:
    """The slowest answer about the ledger, in ms; of each sort the first is cold."""
    follower = bench.follower
    follower.stop()
    follower.start()
    with follower.client() as client:
        questions = _questions(bench, client)
        client.get("/v1/ledger?limit=1").raise_for_status()  # else it is the code that is cold
        cold = []
        for path in questions:
            _forget(follower.state)
            cold.append(_ask(client, path))
        warm = [_ask(client, path) for path in questions * (ASKED - 1)]
        bare = max(_ask(client, "/healthz") for _ in range(ASKED))
    return {"ledger.search": Figure(max(*cold, *warm), bare)}


def _questions(bench: Bench, client: httpx.Client) -> list[str]:
    """By number, time, kind and digest; of kinds one that is everywhere, and one that is not."""
    ledger = f"/v1/ledger?id={bench.issuer.who.id}"
    page = client.get(f"{ledger}&limit=1").json()
    middle = client.get(f"{ledger}&limit=1&before={page['size'] // 2}").json()["entries"][0]
    return [
        ledger,
        f"{ledger}&before={middle['index']}",
        f"{ledger}&until={middle['made_at']}",
        f"{ledger}&kind={middle['kind']}",
        f"{ledger}&kind=no-such-kind",
        f"/v1/documents/sha256/{middle['digests']['sha256']}",
    ]


def _forget(folder: Path) -> None:
    """Have the kernel forget what it keeps of the files below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)  # what is not written yet stays
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)


def _ask(client: httpx.Client, path: str) -> float:
    start = time.perf_counter()
    client.get(path).raise_for_status()
    return (time.perf_counter() - start) * 1000


def _address(bench: Bench) -> str:
    return f"http://127.0.0.1:{bench.follower.port}/"


@contextmanager
def _browser() -> Iterator[Callable[[], Page]]:
    """Opens pages of somebody who was never here."""
    chromium = which("chromium")
    if chromium is None:
        raise LoadFailedError("there is no chromium here: ./setup.sh installs it")
    with sync_playwright() as playwright:
        # A container has no user namespaces for the sandbox.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            yield lambda: browser.new_context().new_page()
        finally:
            browser.close()


def _time(page: Page, address: str, moment: str) -> float:
    """Time in ms from the start of the navigation until a moment in its page."""
    page.goto(address)
    if moment == _READY:
        page.locator("main[data-ready]").wait_for()
    value: float = page.evaluate(moment)
    page.context.close()
    return value


def _hash(page: Page, path: Path, size: int) -> Figure:
    """The browser's rate beside that of OpenSSL, of one file."""
    with path.open("wb") as file:
        for at in range(0, size, CHUNK):
            file.write(os.urandom(min(CHUNK, size - at)))
    try:
        start = time.perf_counter()
        with path.open("rb") as file:
            wanted = hashlib.file_digest(file, "sha256").hexdigest()
        bare = size / MEGABYTE / (time.perf_counter() - start)
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('input'),"
            "{type: 'file', id: 'bench'}))"
        )
        page.locator("#bench").set_input_files(str(path))
        page.set_default_timeout(600_000)
        found, seconds = page.evaluate(_HASH)
    finally:
        path.unlink()
    if found != wanted:
        raise LoadFailedError("the browser has another digest")
    return Figure(size / MEGABYTE / seconds, bare)
