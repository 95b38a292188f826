"""`make demo`: two banks, one document, on real parts on this machine.

Starts a Mosquitto broker and three gateways, each with its own SoftHSM token (an emulated HSM),
ledger and port, all on loopback and under one temporary folder, and shows what the system is for.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Never

from rig.anchored import join_chain
from rig.chain import Anvil
from rig.gateway import Cluster, Gateway
from rig.standin import StandIn
from sample import make_statement

WIDTH: Final = 75
"""Columns of a command's output: with the bar in front of it 80, as a terminal has."""
MAX_SHOWN: Final = 24
"""Lines of a command's output that are shown."""


class DemoFailedError(Exception):
    """A step did not show what it should have shown."""


class Demo:
    """The story, step by step."""

    CARRIED: Final = {
        "file-alone": "Revoked",
        "changed-with-proof": "Not the same document",
        "changed-alone": "Not known here",
    }
    """What the page says in the end of what the customer brought, by folder."""

    def __init__(self, folder: Path, document: Path | None, *, anchor: bool = False) -> None:
        self.folder = folder
        self.anchor = anchor
        self.node: Anvil | None = None
        self.standin: StandIn | None = None
        self.step_number = 0
        self.counter = folder / "customer"
        self.counter.mkdir()
        self.document = self._take_document(document)
        self.cluster: Cluster | None = None

    def run(self) -> None:
        """Everything, from the start to the revocation."""
        self._start()
        hong_kong, shenzhen = self._gateway("hk-1"), self._gateway("sz-1")
        self._attest(hong_kong, shenzhen)
        self._consent(hong_kong, shenzhen)
        if self.anchor:
            self._see_anchor(hong_kong, shenzhen)
        self._switch_off(hong_kong)
        self._verify(shenzhen)
        self._verify_offline(shenzhen)
        self._change_one_byte(shenzhen)
        self._use(hong_kong, shenzhen)
        self._withdraw(hong_kong, shenzhen)
        self._revoke(hong_kong, shenzhen)

    def show_addresses(self) -> None:
        """Where the gateways are, for somebody who wants to try more."""
        print("\nThe gateways go on running. Each has a page: open these in a browser.\n")
        for gateway in self._all():
            who = gateway.who
            print(f"  {who.id}  http://127.0.0.1:{gateway.port}/  {who.institution}")
        print("\nOn the page of sz-1, drop files from these folders (both, where there are two):\n")
        for name, verdict in self.CARRIED.items():
            print(f"  {self.counter / name}  {verdict}")
        print("\nThen have a file of your own attested at hk-1 (Attest), and drop it onto the page")
        print("of sz-1 (Verify). Overview shows who has countersigned, Ledger every entry.")
        print("\nOn the command line, after one of these, .venv/bin/chopmark status shows that")
        print("gateway; verify, attest, log show and the others ask it too (docs/cli.md):\n")
        for gateway in self._all():
            print(f"  export CHOPMARK_GATEWAY={gateway.address}")
        print(f"\nEverything is in {self.folder}\nand goes away with it. Ctrl-C ends the demo.")

    def stop(self) -> None:
        """Stop what runs."""
        if self.cluster is not None:
            self.cluster.stop()
        if self.standin is not None:
            self.standin.stop()
        if self.node is not None:
            self.node.stop()

    def _start(self) -> None:
        self._say(
            "Three banks set up a gateway each: Shenzhen, Hong Kong, Macao.",
            "Each has its own emulated HSM with its own keys; they meet at an MQTT broker.",
        )
        self.cluster = Cluster(self.folder / "gateways", rule="jurisdictions", alone=False)
        if self.anchor:
            self._join_chain()
        self.cluster.start()
        for gateway in self._all():
            print(f"   {gateway.who.institution:30} http://127.0.0.1:{gateway.port}")

    def _join_chain(self) -> None:
        """A real EVM node, and before it what makes it answer as FISCO BCOS does."""
        self.node = Anvil(self.folder / "chain").start()
        self.standin = StandIn(self.node.url).start()
        print(
            "   They also join a chain: an EVM node (anvil) behind a STAND-IN for FISCO BCOS, which"
        )
        print(
            "   imposes what is peculiar to it (docs/operations/anchor.md says what was not tried)."
        )
        made = join_chain(self._all(), [self.standin.url])
        print(f"   The contract is at {made['contract']}; each account's key is in its HSM.")

    def _see_anchor(self, hong_kong: Gateway, shenzhen: Gateway) -> None:
        self._say(
            "Hong Kong has put its countersigned head onto the chain. Shenzhen reads all anchors,",
            "compares each with its own replica, and has the contract's counter prove that none",
            "is missing:",
        )

        def is_read() -> bool:
            logs = shenzhen.get("/v1/status")["anchor"]["logs"]
            return any(one["id"] == hong_kong.who.id and one["size"] > 0 for one in logs)

        shenzhen.wait_for(is_read, "to read the anchor")
        self._show(shenzhen, 0, "anchor", "list", hong_kong.who.id)
        self._show(shenzhen, 0, "anchor", "check")

    def _attest(self, hong_kong: Gateway, shenzhen: Gateway) -> None:
        self._say(
            f"The bank in Hong Kong hands a customer the document {self.document.name}",
            "and has its gateway attest it. Only hashes go there, and none of the bytes.",
            "The gateways in Shenzhen and Macao check and keep the attestation, and countersign:",
        )
        path = str(self.document)
        self._show(hong_kong, 0, "attest", path, "--kind", "bank-statement")
        for other in self._all():
            if other is not hong_kong:
                kept = "to keep what all have countersigned"
                other.wait_for(lambda o=other: o.peer(hong_kong)["witnessed_size"] > 0, kept)  # type: ignore[misc]
        made_at = hong_kong.get("/v1/entries?after=-1&limit=1")["entries"][0]["made_at"]
        vouched = "to have a signed time after the attestation"
        shenzhen.wait_for(lambda: (shenzhen.peer(hong_kong)["as_of"] or "") > made_at, vouched)

    def _consent(self, hong_kong: Gateway, shenzhen: Gateway) -> None:
        self._say(
            "The customer lets the bank in Shenzhen use it for a loan, and for nothing else.",
            "Its proof file carries that; the ledger does not say for whom or for what:",
        )
        until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
        terms = ("--receiver", "sz-1", "--purpose", "sme-loan", "--until", until)
        self._show(hong_kong, 0, "consent", str(self.document), *terms)
        shenzhen.wait_for_head(hong_kong, 2)

    def _switch_off(self, hong_kong: Gateway) -> None:
        self._say("Now the gateway in Hong Kong is switched off.")
        if hong_kong.stop() != 0:
            raise DemoFailedError("the gateway in Hong Kong did not stop in order")

    def _verify(self, shenzhen: Gateway) -> None:
        self._say(
            "The customer walks into the bank in Shenzhen with the file alone.",
            "Its gateway answers from its own replica:",
        )
        alone = self._carry("file-alone", self.document.read_bytes(), proof=False)
        self._show(shenzhen, 0, "verify", str(alone))
        self._say("With the proof file that came with it, the answer is the same:")
        both = self._carry("with-proof", self.document.read_bytes(), proof=True)
        self._show(shenzhen, 0, "verify", str(both))

    def _verify_offline(self, shenzhen: Gateway) -> None:
        self._say(
            "Without any gateway, the proof file and the issuer's policy are enough. The",
            "policy demands the countersignatures of Shenzhen and Macao:",
        )
        self._show(shenzhen, 0, "peers", "policy", "hk-1")
        policy = self.counter / "hk-1.policy"
        policy.write_text(shenzhen.cli("peers", "policy", "hk-1").stdout)
        carried = str(self.counter / "with-proof" / self.document.name)
        self._show(shenzhen, 5, "verify", carried, "--policy", str(policy))

    def _change_one_byte(self, shenzhen: Gateway) -> None:
        self._say("Somebody changes one byte of the document. With the proof, that shows:")
        data = bytearray(self.document.read_bytes())
        data[len(data) // 2] ^= 1
        changed = self._carry("changed-with-proof", bytes(data), proof=True)
        self._show(shenzhen, 3, "verify", str(changed))
        self._say("Without the proof, nobody knows such a document:")
        changed = self._carry("changed-alone", bytes(data), proof=False)
        self._show(shenzhen, 2, "verify", str(changed))

    def _use(self, hong_kong: Gateway, shenzhen: Gateway) -> None:
        self._say(
            "Hong Kong is switched on again. In Shenzhen the document is used for the loan,",
            "which Shenzhen records in its own ledger:",
        )
        hong_kong.start()
        carried = str(self.counter / "with-proof" / self.document.name)
        self._show(shenzhen, 0, "use", carried, "--purpose", "sme-loan")
        self._say("For a mortgage it may not be used:")
        self._show(shenzhen, 65, "use", carried, "--purpose", "mortgage")

    def _withdraw(self, hong_kong: Gateway, shenzhen: Gateway) -> None:
        self._say("The customer withdraws the consent, and Shenzhen may not use it any more:")
        self._show(hong_kong, 0, "withdraw", str(self.document))
        shenzhen.wait_for_head(hong_kong, 3)
        carried = str(self.counter / "with-proof" / self.document.name)
        self._show(shenzhen, 65, "use", carried, "--purpose", "sme-loan")
        self._say("Whoever holds the proof file can trace all of it, with a proof of each step:")
        report = str(self.counter / "trace.json")
        self._show(shenzhen, 0, "trace", carried, "-o", report)
        policies: list[str] = []
        for name in ("hk-1", "sz-1"):
            policy = self.counter / f"trace-{name}.policy"
            policy.write_text(shenzhen.cli("peers", "policy", name).stdout)
            policies += ["--policy", str(policy)]
        self._show(shenzhen, 0, "trace", "--check", report, carried, *policies)

    def _revoke(self, hong_kong: Gateway, shenzhen: Gateway) -> None:
        self._say("The bank in Hong Kong revokes the document.")
        self._show(hong_kong, 0, "revoke", f"{hong_kong.who.origin}#0", "--reason", "fraud")
        shenzhen.wait_for_head(hong_kong, 4)
        self._say("A moment later, in Shenzhen:")
        self._show(shenzhen, 1, "verify", str(self.counter / "file-alone" / self.document.name))

    def _take_document(self, document: Path | None) -> Path:
        """A copy: proofs are written beside it, and the original's folder is not ours."""
        folder = self.folder / "hong-kong"
        folder.mkdir()
        if document is None:
            copy = folder / "statement.pdf"
            copy.write_bytes(make_statement())
            return copy
        if not document.exists():
            raise DemoFailedError(f"no such file: {document}")
        if not document.is_file() or document.stat().st_size == 0:
            raise DemoFailedError(f"{document} is empty, or no regular file")
        return Path(shutil.copy(document, folder / document.name))

    def _carry(self, name: str, data: bytes, *, proof: bool) -> Path:
        """What the customer brings, in a folder of its own."""
        folder = self.counter / name
        folder.mkdir()
        (folder / self.document.name).write_bytes(data)
        if proof:
            shutil.copy(f"{self.document}.tlog-proof", folder)
        return folder / self.document.name

    def _show(self, gateway: Gateway, expected: int, *arguments: str) -> None:
        """Run a command at a gateway and show what it says; it must end as expected."""
        shown = " ".join(a.replace(str(self.folder), "…") for a in arguments)
        print(f"   {gateway.who.id}$ chopmark {shown}")
        done = gateway.cli(*arguments, check=False)
        for line in (done.stdout + done.stderr).strip("\n").splitlines()[:MAX_SHOWN]:
            shown = line.replace(str(self.folder), "…")
            for part in textwrap.wrap(shown, WIDTH, subsequent_indent="   ") or [""]:
                print(f"   │ {part}")
        print(f"   └ exit {done.returncode}")
        if done.returncode != expected:
            raise DemoFailedError(f"exit {expected} was expected")

    def _say(self, first: str, *more: str) -> None:
        self.step_number += 1
        print(f"\n{self.step_number}. {first}")
        for line in more:
            print(f"   {line}")

    def _gateway(self, member: str) -> Gateway:
        return next(g for g in self._all() if g.who.id == member)

    def _all(self) -> list[Gateway]:
        if self.cluster is None:
            raise DemoFailedError("nothing runs yet")
        return list(self.cluster.gateways.values())


def main() -> int:
    """Entry point; the exit code says whether every step showed what it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", type=Path, help="the document to attest")
    parser.add_argument("--anchor", action="store_true", help="anchor heads on a chain, too")
    parser.add_argument("--once", action="store_true", help="end after the last step")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # steps as they happen
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="chopmark-demo-"))
    try:
        keep = None if arguments.once else signal.pause
        return _tell(folder, arguments.document, keep=keep, anchor=arguments.anchor)
    except KeyboardInterrupt:
        print("\nThe demo was ended.")
        return 0 if not arguments.once else 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tell(
    folder: Path, document: Path | None, keep: Callable[[], None] | None, *, anchor: bool
) -> int:
    try:
        demo = Demo(folder, document, anchor=anchor)
    except (DemoFailedError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 66
    try:
        demo.run()
        print("\nEvery step showed what it should.")
        if keep is not None:
            demo.show_addresses()
            keep()
    except (DemoFailedError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        print(f"\ndemo: the step failed: {error}", file=sys.stderr)
        return 1
    finally:
        demo.stop()
    return 0


def _interrupt(_number: int, _frame: object) -> Never:
    """End once: a second Ctrl-C must not cut the tidying up short."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
