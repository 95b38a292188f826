"""Slips from files and from a camera in a real Chromium, with the module that the page uses."""

import threading
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import slips
from chopmark.client.slip.page import make_page

WEB = Path(__file__).parents[2] / "daemon" / "chopmark" / "api" / "web"
TEXT = slips.slip_of()
PDF = make_page(slips.facts_of(TEXT), "zh-Hant")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'"
)


class _Served(SimpleHTTPRequestHandler):
    """The page's files, as strictly as a gateway serves them."""

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-security-policy", POLICY)
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>scan</title><video></video>")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Served, directory=str(WEB)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Image.Image:
    """The page as a scanner sees it."""
    pdf = tmp_path_factory.mktemp("p") / "slip.pdf"
    pdf.write_bytes(PDF)
    return slips.render(pdf, 200)


@pytest.fixture(scope="module")
def page(
    address: str, printed: Image.Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A page before whose camera the slip is held, a little turned."""
    seen = printed.rotate(3, resample=Image.Resampling.BILINEAR, fillcolor=200)
    top = seen.height - 1080
    frame = encoded(seen.crop((0, top, 1440, seen.height)).convert("RGB"), "JPEG")
    film = tmp_path_factory.mktemp("c") / "camera.mjpeg"
    film.write_bytes(frame * 5)
    arguments = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=arguments, chromium_sandbox=False
        )
        made = chromium.new_page()
        made.goto(address)
        yield made
        chromium.close()


def encoded(image: Image.Image, kind: str) -> bytes:
    data = BytesIO()
    image.save(data, kind)
    return data.getvalue()


SCAN_FILE = """
async ([base64, type]) => {
  const { scanFile } = await import("/js/views/scan.js");
  const data = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  try {
    return await scanFile(new File([data], "slip", { type }));
  } catch (error) {
    return error.code ?? String(error);
  }
}"""


def scan(page: Page, data: bytes, kind: str) -> str:
    return str(page.evaluate(SCAN_FILE, [b64encode(data).decode(), kind]))


def test_slip_is_read_from_a_picture(page: Page, printed: Image.Image) -> None:
    assert scan(page, encoded(printed, "PNG"), "image/png") == TEXT
    turned = printed.transpose(Image.Transpose.ROTATE_270).convert("RGB")
    assert scan(page, encoded(turned, "JPEG"), "image/jpeg") == TEXT


def test_slip_is_read_from_its_pdf_and_from_text(page: Page) -> None:
    assert scan(page, PDF, "application/pdf") == TEXT
    assert scan(page, f"{TEXT}\r\n".encode(), "text/plain") == TEXT


def test_file_without_a_slip_says_why(page: Page) -> None:
    blank = encoded(Image.new("L", (200, 200), 255), "PNG")
    assert scan(page, blank, "image/png") == "no-code"
    assert scan(page, b"%PDF-1.4 a statement", "application/pdf") == "unreadable-picture"


SCAN_CAMERA = """
async () => {
  const { scanCamera } = await import("/js/views/scan.js");
  const video = document.querySelector("video");
  const text = await scanCamera(video, new AbortController().signal);
  return [text, video.srcObject === null];
}"""


def test_slip_is_read_by_the_camera_which_is_let_go_of(page: Page) -> None:
    assert page.evaluate(SCAN_CAMERA) == [TEXT, True]


STOP_CAMERA = """
async () => {
  const { scanCamera } = await import("/js/views/scan.js");
  const video = document.querySelector("video");
  const stop = new AbortController();
  stop.abort();
  const name = await scanCamera(video, stop.signal).catch((error) => error.name);
  return [name, video.srcObject === null];
}"""


def test_camera_is_not_asked_for_once_the_scan_is_stopped(page: Page) -> None:
    assert page.evaluate(STOP_CAMERA) == ["AbortError", True]
