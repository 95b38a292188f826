"""`chopmark use`: at the receiver's gateway, verify a document for a purpose and record that."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chopmark.cli.arguments import parse_duration
from chopmark.cli.context import Given, Options
from chopmark.cli.hashing import hash_files
from chopmark.cli.keptkey import NOT_YET, KeptKey
from chopmark.cli.records import carry, open_answer, own_file, write_shown
from chopmark.cli.terminal import say, say_json, warn
from chopmark.client.files import check_creatable, proof_path, read_proof
from chopmark.client.messages import encode_digests
from chopmark.core.consent import Shown, check_purpose
from chopmark.core.errors import MalformedError, RefusedError
from chopmark.core.inert import clean
from chopmark.core.proof import parse_proof
from chopmark.core.verdict import EXIT, Word


def use(
    file: Path,
    /,
    *,
    purpose: str,
    proof: Path | None = None,
    consent: Annotated[tuple[Path, ...], Parameter(negative="")] = (),
    scenario: str | None = None,
    expect_issuer: str | None = None,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    wait: str = "10s",
    options: Given,
) -> int:
    """Verify a document for a purpose under the customer's consent, and record its use.

    It is refused, and why, if the document is not valid here, or where consent is demanded and
    none holds: for this receiver and purpose, not ended and not withdrawn. What shows the use goes
    into the document's proof, for the customer, and into FILE.use-INDEX.tlog-proof, to be handed
    to the issuer. The other members see that something was used, and nothing else.

    Args:
        file: The document.
        purpose: What it is used for, such as sme-loan.
        proof: Its proof, with the consent in it, if that is not FILE.tlog-proof beside it.
        consent: A proof of a consent besides; may be given several times.
        scenario: Scenario of the roster, where several fit.
        expect_issuer: The only issuer to accept: institution, member id or origin.
        output: Where to write the proof of the use.
        wait: How long to wait for countersignatures, at most 60s.
    """
    check_purpose(purpose)
    seconds = min(parse_duration(wait), 60)
    path = proof or proof_path(file)
    if output is not None:
        check_creatable(output)
    body: dict[str, object] = {
        "digests": encode_digests(hash_files([file], options)[0]),
        "purpose": purpose,
        "consents": [read_proof(one).decode("utf-8", "replace") for one in consent],
    }
    if path.exists() or proof is not None:
        body["proof"] = read_proof(path).decode("utf-8", "replace")
    more = {"scenario": scenario, "expect_issuer": expect_issuer}
    body |= {name: value for name, value in more.items() if value is not None}
    with options.connect() as gateway:
        kept = KeptKey(file, "use", body)
        made = kept.send(lambda key: gateway.use(body, seconds, key=key))
    shown = open_answer(made.get("proof"))
    files = [] if shown is None else _keep(file, path, shown, output)
    if files:
        kept.drop()
    _tell(made, files, options)
    return EXIT[Word.UNWITNESSED] if shown is None or made.get("provisional") else 0


def _keep(file: Path, path: Path, shown: Shown, output: Path | None) -> list[Path]:
    own = own_file(file, "use", shown, output)
    write_shown(own, shown)
    if not path.exists():
        return [own]
    try:
        carry(path, parse_proof(read_proof(path)), [shown])
    except (MalformedError, RefusedError):
        return [own]  # the proof is of another attestation of the document
    return [own, path]


def _tell(made: dict[str, object], files: list[Path], options: Options) -> None:
    if options.json:
        hidden = {"salt", "body", "proof"}
        told = {name: value for name, value in made.items() if name not in hidden}
        say_json(told | {"proof_files": [str(path) for path in files]})
        return
    say(clean(f"{made['origin']}#{made['index']}"), clean(f"  use of {made['attestation']}"))
    rests = made.get("consent")
    under = "no consent is demanded" if rests is None else f"under the consent in entry {rests}"
    say(clean(f"  for {made['purpose']}, {under}"))
    for path in files:
        say(clean(f"  shown by {path}: for the customer and the issuer alone"))
    if not files:
        warn(NOT_YET)
