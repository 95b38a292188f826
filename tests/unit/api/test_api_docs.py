"""The page on the API names what the code has."""

import re
from pathlib import Path

import pytest

from chopmark.api.app import create_app
from fakegateway import FakeGateway

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/api.md").read_text()
API = ROOT / "daemon/chopmark/api"
SOURCES = [path.read_text() for path in [*API.glob("*.py"), *(API / "signin").glob("*.py")]]


def test_page_names_every_route() -> None:
    app = create_app(FakeGateway()).routes
    paths = {re.sub(r":str\b", "", route.path) for route in app.routes}
    assert paths
    assert {path.replace("{member}", "{id}") for path in paths} <= set(
        re.findall(r"(?:GET|POST) (/[^`? ]*)", PAGE)
    )


@pytest.mark.parametrize("source", SOURCES)
def test_page_names_every_code(source: str) -> None:
    raised = set(re.findall(r'Error\(\s*"([a-z-]+)"', source))
    raised |= set(re.findall(r'(?:\d{3}[:,]\s*\(?|MALFORMED: Final = )"([a-z]+-[a-z-]+)"', source))
    startup = {"no-listener", "not-loopback", "cannot-listen", "socket-in-use", "not-a-socket"}
    startup |= {"accounts-malformed"}
    startup |= {"tls-missing", "tls-exposed", "tls-malformed", "tls-mismatch"}
    assert raised - startup - {"http-error"} <= set(re.findall(r"`([a-z-]+)`", PAGE))
