"""`chopmark slip`: a page of PDF with a document's proof in a QR code, for the customer."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from chopmark.cli.context import Given, Options
from chopmark.cli.hashing import hash_files
from chopmark.cli.judging import Judge, Terms, judge_by_gateway, judge_offline, read_policy
from chopmark.cli.terminal import say, say_json, warn
from chopmark.cli.verdicts import show_verdict
from chopmark.client.files import check_creatable, proof_path, read_proof, write_new
from chopmark.client.problem import bad_answer
from chopmark.client.proofs import proof_mode
from chopmark.client.slip.facts import Facts, Name, gather_facts
from chopmark.client.slip.wording import Language
from chopmark.client.verdicts import VerdictReport
from chopmark.core.errors import ConfigurationError, MalformedError, MissingError
from chopmark.core.inert import clean
from chopmark.core.policy import Policy, parse_policy
from chopmark.core.proof import Proof, parse_proof
from chopmark.core.slip_making import make_slip
from chopmark.core.verdict import EXIT, Word

if TYPE_CHECKING:
    from chopmark.client.gateway import GatewayClient

SUFFIX: Final = ".slip.pdf"


def slip(
    file: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    proof: Path | None = None,
    policy: Path | None = None,
    language: Language | None = None,
    options: Given,
) -> int:
    """Make the verification slip of a document, for the customer to carry beside it.

    The document's proof is verified first; where the verdict is not valid (or valid-as-of, without
    a gateway) no slip is made, and the exit code is that of the verdict: 6 while the proof is
    provisional. The same proof always makes the same page.

    Args:
        file: The document; FILE.tlog-proof beside it is its proof.
        output: Where to write the PDF, if not to FILE.slip.pdf. Nothing is overwritten.
        proof: The proof, if it lies elsewhere.
        policy: Verify offline, by this policy (`chopmark peers policy` prints it); institutions
            are named by their origins then.
        language: What stands beside the English: zh-Hant or zh-Hans. By default zh-Hans for
            institutions of CN, and zh-Hant for all others.
    """
    make_page = _load()
    path = output or file.with_name(file.name + SUFFIX)
    check_creatable(path)
    data = _read_proof(file, proof)
    with ExitStack() as stack:
        if policy is not None:
            source = _offline(policy)
        else:
            source = _by_gateway(stack.enter_context(options.connect()))
        verdict = source.judge(hash_files([file], options)[0], data)
        if Word(verdict["verdict"]) != source.best:
            return _refuse(verdict, file, options)
        found = source.find(parse_proof(data))
    text = make_slip(parse_proof(data), found.policy)
    facts = gather_facts(text, found.policy, found.names)
    chosen: Language = language or ("zh-Hans" if facts.name.jurisdiction == "CN" else "zh-Hant")
    write_new(path, make_page(facts, chosen), proof_mode(parse_proof(data)))
    _show(facts, path, options)
    return 0


@dataclass(frozen=True, slots=True)
class _Trust:
    """What a proof is read by."""

    policy: Policy
    names: Mapping[str, Name]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where verdicts come from, and policies and names; `best` is the best that it can say.

    A gateway that has not heard of a log for long says less: what is revoked may look good to it.
    """

    best: Word
    judge: Judge
    find: Callable[[Proof], _Trust]


def _offline(path: Path) -> _Source:
    _, policy = read_policy(path)
    judge = judge_offline(path, Terms())
    return _Source(Word.VALID_AS_OF, judge, lambda _: _Trust(policy, {}))


def _by_gateway(gateway: "GatewayClient") -> _Source:
    return _Source(Word.VALID, judge_by_gateway(gateway, Terms()), partial(_ask, gateway))


def _ask(gateway: "GatewayClient", proof: Proof) -> _Trust:
    members = [gateway.status(), *gateway.peers()]
    names = {
        str(one.get("origin")): Name(str(one.get("institution")), str(one.get("jurisdiction")))
        for one in members
    }
    origin = proof.checkpoint().origin
    member = next((str(one.get("id")) for one in members if one.get("origin") == origin), None)
    try:
        return _Trust(parse_policy(gateway.policy(member)), names)
    except MalformedError as error:
        raise bad_answer() from error


def _load() -> Callable[[Facts, Language], bytes]:
    """What draws the page: an extra, for most who run this command never make one."""
    try:
        from chopmark.client.slip.page import make_page
    except ModuleNotFoundError as error:
        message = f"slips need a package that is not installed: {error.name}"
        raise ConfigurationError("no-slips", message, hint="pip install chopmark[slip]") from error
    return make_page


def _read_proof(file: Path, proof: Path | None) -> bytes:
    path = proof or proof_path(file)
    if not path.exists():
        hint = "`chopmark proof FILE` fetches it at the gateway that attested the document"
        raise MissingError("no-proof", f"no proof of {file}: {path} is not there", hint=hint)
    return read_proof(path)


def _refuse(verdict: VerdictReport, file: Path, options: Options) -> int:
    word = Word(verdict["verdict"])
    if options.json:
        say_json({"subject": str(file), **verdict})
    else:
        show_verdict(verdict, str(file))
        warn("no slip was made: it is made of what is valid")
    return EXIT[word]


def _show(facts: Facts, path: Path, options: Options) -> None:
    if options.json:
        found = {"origin": facts.origin, "index": facts.index, "slip_file": str(path)}
        say_json(found | {"slip": facts.text})
        return
    say(clean(f"{facts.origin}#{facts.index}"), "  ", clean(path))
