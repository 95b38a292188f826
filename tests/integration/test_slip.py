"""Slips between real gateways: made in Hong Kong, printed, scanned and verified in Shenzhen."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from documents import some_document, verify

import slips
from chopmark.core.note import Note, parse_note
from chopmark.core.slip import encode_slip, parse_slip
from mutations import flipped
from rig.gateway import HONG_KONG, SHENZHEN, Cluster

FALSE = b"%PDF-1.4 balance: 9,000,000.00"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways, each of which countersigns for the other."""
    made = Cluster(tmp_path_factory.mktemp("s"), (HONG_KONG, SHENZHEN), "jurisdictions")
    try:
        made.start()
        made["sz-1"].wait_for(
            lambda: made["sz-1"].peer(made["hk-1"])["as_of"] is not None, "to know hk-1"
        )
        yield made
    finally:
        made.stop()


@dataclass(frozen=True)
class Handed:
    """What the customer carries: the document, and the slip as it was scanned from its page."""

    document: bytes
    slip: str
    index: int
    page: Path


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "blinded"])
def handed(
    pair: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Handed:
    hk, folder = pair["hk-1"], tmp_path_factory.mktemp("d")
    file, page = folder / "statement.pdf", folder / "slip.pdf"
    file.write_bytes(some_document(f"slip {request.param}"))
    blinded = ["--blinded"] if request.param else []
    hk.cli("attest", str(file), "--kind", "bank-statement", "--wait", "60s", *blinded)
    answer = json.loads(hk.cli("slip", str(file), "-o", str(page), "--json").stdout)
    picture = folder / "page.png"
    slips.render(page, 150).save(picture)
    (scanned,) = slips.scan_by_page([picture])
    assert scanned == answer["slip"] == slips.scan_by_zbar(picture)
    sz = pair["sz-1"]
    sz.wait_for(lambda: sz.peer(hk)["witnessed_size"] > answer["index"], "to hold the entry")
    return Handed(file.read_bytes(), scanned, answer["index"], page)


def test_document_with_its_scanned_slip_is_valid(pair: Cluster, handed: Handed) -> None:
    found = verify(pair["sz-1"], handed.document, slip=handed.slip)
    assert found["verdict"] == "valid"
    assert found["attestations"][0]["index"] == handed.index
    assert found["attestations"][0]["quorum"] == "reached"


def test_slip_alone_is_attestation_only_with_the_facts_of_the_entry(
    pair: Cluster, handed: Handed
) -> None:
    found = verify(pair["sz-1"], None, slip=handed.slip)
    assert (found["verdict"], found["exit_code"]) == ("attestation-only", 7)
    assert "the file is needed" in found["sentence"]
    (facts,) = found["attestations"]
    assert facts["issuer"] == HONG_KONG.institution
    assert (facts["kind"], facts["index"]) == ("bank-statement", handed.index)
    done = pair["sz-1"].cli("verify", "--proof", str(handed.page), check=False)
    assert done.returncode == 7


def test_genuine_code_on_a_false_statement_gets_nowhere(pair: Cluster, handed: Handed) -> None:
    assert verify(pair["sz-1"], FALSE, slip=handed.slip)["verdict"] == "mismatch"
    assert verify(pair["sz-1"], FALSE)["verdict"] == "unknown"


def test_slip_with_a_signature_changed_is_untrusted(pair: Cluster, handed: Handed) -> None:
    """Whoever changes a code can make its check anew, and no signature."""
    proof = parse_slip(handed.slip)
    note = parse_note(proof.note)
    first, *others = note.signatures
    payload = flipped(first.payload, 8 * len(first.payload) - 1)
    forged = Note(note.text, (type(first)(first.name, first.key_id, payload), *others))
    text = encode_slip(type(proof)(proof.index, proof.hashes, forged.encode(), proof.extra))
    assert verify(pair["sz-1"], handed.document, slip=text)["verdict"] == "untrusted"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"slip": "CHOPMARK1:A"}, "malformed-base45"),
        ({"slip": "CHOPMARK2:00"}, "malformed-slip"),
        ({"slip": "CHOPMARK1:00", "proof": "c2sp.org/tlog-proof@v1\n"}, "malformed-request"),
    ],
)
def test_what_is_no_slip_is_refused(pair: Cluster, body: dict[str, str], code: str) -> None:
    with pair["sz-1"].client() as client:
        answer = client.post("/v1/verifications", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        line = json.dumps(body)
        batch = client.post("/v1/verifications:batch", content=line).json()
        assert batch["error"]["code"] == code


def test_slip_knows_nothing_of_a_revocation_and_the_gateway_does(
    pair: Cluster, handed: Handed
) -> None:
    hk, sz = pair["hk-1"], pair["sz-1"]
    hk.cli("revoke", f"{HONG_KONG.origin}#{handed.index}", "--reason", "fraud")

    def word() -> str:
        return str(verify(sz, handed.document, slip=handed.slip)["verdict"])

    sz.wait_for(lambda: word() == "revoked", "to know of the revocation")
    assert verify(sz, None, slip=handed.slip)["verdict"] == "revoked"
