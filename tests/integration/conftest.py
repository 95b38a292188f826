"""Real gateways for integration tests: SoftHSM, Mosquitto, SQLite, separate processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.ceremony_scene import NAMES, PASSWORD, Scene, openssl
from integration.hsm_kinds import Shelf, open_shelf
from rig.gateway import Cluster
from rig.token import provision_token


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three running gateways that the tests of one module share; each leaves them running."""
    made = Cluster(_short(tmp_path_factory))
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Tokens of every kind; what they live on is started when a test first needs it."""
    with open_shelf(_short(tmp_path_factory)) as made:
        yield made


def _short(factory: pytest.TempPathFactory) -> Path:
    # A unix socket's path has room for 107 bytes only.
    return factory.mktemp("c")


@pytest.fixture(scope="session")
def officers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with NAME.crt and NAME.key; lee's key is encrypted, and also in lee.p12."""
    folder = tmp_path_factory.mktemp("officers")
    sorts = {
        "chan": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        "lee": ("-newkey", "rsa:2048", "-passout", f"pass:{PASSWORD}"),
        "ho": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes"),
    }
    for name, sort in sorts.items():
        key, crt = folder / f"{name}.key", folder / f"{name}.crt"
        subject = f"/O=Bank of Hong Kong (example)/CN={NAMES[name]}"
        openssl("req", "-x509", *sort, "-keyout", key, "-out", crt, "-subj", subject, "-days", 30)
    secret = f"pass:{PASSWORD}"
    lee = ("-inkey", folder / "lee.key", "-in", folder / "lee.crt", "-passin", secret)
    openssl("pkcs12", "-export", *lee, "-passout", secret, "-out", folder / "lee.p12")
    return folder


@pytest.fixture
def scene(tmp_path: Path, officers: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    token = provision_token(tmp_path / "hsm", "hk-1")
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(token.credentials))
    return Scene(tmp_path, token, officers)
