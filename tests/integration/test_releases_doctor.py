"""What `chopmark doctor` finds about the source of releases, with a real HTTPS server."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import configs
from chopmark.service.checks.finding import Finding, Scene
from chopmark.service.checks.releases import check_releases
from chopmark.service.config import load_config
from releaseserver import ReleaseServer
from rig.authority import Authority
from rig.broker import free_port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[ReleaseServer]:
    made = ReleaseServer(authority.issue("releases"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def find(tmp_path: Path) -> Any:
    """What the check finds with these words of `[firmware]`."""

    def look(**words: object) -> list[Finding]:
        lines = [f'{key} = "{value}"' for key, value in words.items()]
        path = tmp_path / "gateway.toml"
        path.write_text(configs.BASE + "\n".join(["[firmware]", *lines, ""]))
        scene = Scene(path, load_config(path), 0, None, locked=False, uid=os.geteuid())
        return list(check_releases(scene))

    return look


def test_source_that_is_as_it_should_be_is_passed_over(
    find: Any, server: ReleaseServer, authority: Authority
) -> None:
    assert find(source=server.url, ca=authority.path) == []
    assert server.asked == []


def test_gateway_without_a_source_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(configs.BASE)
    scene = Scene(path, load_config(path), 0, None, locked=False, uid=os.geteuid())
    assert list(check_releases(scene)) == []


def test_source_by_another_ca_is_found(find: Any, server: ReleaseServer, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    foreign = Authority(tmp_path / "foreign")
    (finding,) = find(source=server.url, ca=foreign.path)
    assert finding.code == "firmware-source-wrong"
    assert "localhost" in finding.finding


def test_source_for_another_name_is_found(find: Any, authority: Authority) -> None:
    server = ReleaseServer(authority.issue("other", hosts=("other.example",)))
    try:
        (finding,) = find(source=server.url, ca=authority.path)
    finally:
        server.close()
    assert finding.code == "firmware-source-wrong"


@pytest.mark.parametrize("proxied", [False, True])
def test_source_or_proxy_that_is_away_is_found(
    find: Any, server: ReleaseServer, authority: Authority, *, proxied: bool
) -> None:
    port = free_port()
    if proxied:
        found = find(source=server.url, ca=authority.path, proxy=f"127.0.0.1:{port}")
    else:
        found = find(source=f"https://127.0.0.1:{port}/", ca=authority.path)
    assert [one.code for one in found] == ["firmware-source-away"]
    assert str(port) in found[0].finding
    assert ("proxy" in found[0].finding) is proxied


@pytest.mark.parametrize("text", [None, "no PEM"])
def test_ca_file_that_is_missing_or_none_is_found(
    find: Any, server: ReleaseServer, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    (finding,) = find(source=server.url, ca=path)
    assert finding.code == "tls-files-wrong"
    assert str(path) in finding.finding
