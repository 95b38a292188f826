"""Two boxes with the package, booted: each unit does what it is for, under systemd."""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from bootedbox import Box
from pair import CONFIG, PIN, PYTHON, Pair, admin, cli, is_ready, status
from rootfs import package
from visitor import Visitor

from releaseserver import SORT, Signer
from rig.authority import Authority

pytestmark = pytest.mark.timeout(1800)
UNPACKING = 800.0
"""Seconds: the package is large, and others are at work on this machine."""
DROP_IN = "/etc/systemd/system/chopmark.service.d"


def attest(box: Box, name: str) -> str:
    """A document attested at the box, which a quorum has witnessed; its text."""
    text = f"statement {name}\n"
    box.write(f"/root/{name}", text)
    assert re.search(r"#\d+", cli(box, "attest", "--wait", "60s", f"/root/{name}"))
    return text


def verdict(box: Box, name: str) -> str:
    return str(json.loads(cli(box, "--json", "verify", f"/root/{name}", check=False))["verdict"])


def carry(name: str, start: Box, end: Box) -> None:
    """Take a document and its proof along."""
    for file in (name, f"{name}.tlog-proof"):
        end.write(f"/root/{file}", (start.root / "root" / file).read_text())


def restarted(box: Box, was: str) -> bool:
    return box.shown("chopmark", "MainPID") not in {"0", was} and is_ready(box)


def test_gateways_run_under_their_units(pair: Pair) -> None:
    for box in pair.boxes:
        assert box.is_active("chopmark")
        assert "ready" in box.shown("chopmark", "StatusText")
        assert box.shown("chopmark", "User") == "chopmark"
        assert box.failed() == []


def test_document_is_verified_with_the_issuers_box_off(pair: Pair) -> None:
    attest(pair.hk, "one")
    carry("one", pair.hk, pair.sz)
    pair.sz.wait_for(lambda: verdict(pair.sz, "one") == "valid", "the replica")
    pair.hk.systemctl("stop", "chopmark")
    try:
        assert verdict(pair.sz, "one") == "valid"
    finally:
        pair.hk.systemctl("start", "chopmark")
    pair.hk.wait_for(lambda: is_ready(pair.hk), "the gateway to be ready")


def test_daemon_that_stands_still_is_started_again(pair: Pair) -> None:
    box = pair.hk
    # Only the time is another one than in the package: 30 s there.
    box.run("mkdir", "-p", DROP_IN)
    box.write(f"{DROP_IN}/soon.conf", "[Service]\nWatchdogSec=15\n")
    box.systemctl("daemon-reload")
    box.systemctl("restart", "chopmark")
    was, starts = box.shown("chopmark", "MainPID"), box.shown("chopmark", "NRestarts")
    box.systemctl("kill", "--kill-whom=main", "--signal=SIGSTOP", "chopmark")
    box.wait_for(lambda: restarted(box, was), "systemd to start the daemon again")
    assert int(box.shown("chopmark", "NRestarts")) == int(starts) + 1
    assert "Watchdog timeout" in box.run("journalctl", "-u", "chopmark", "-o", "cat").stdout
    box.run("rm", f"{DROP_IN}/soon.conf")
    attest(box, "after-the-watchdog")


def test_pin_comes_from_a_credential_that_only_this_box_can_read(pair: Pair) -> None:
    box, folder = pair.hk, "/etc/chopmark/credentials"
    box.run("systemd-creds", "setup")
    sealed = f"{folder}/hsm-pin.cred"
    box.run("systemd-creds", "encrypt", "--with-key=host", "--name=hsm-pin", "-", sealed, given=PIN)
    box.run("rm", f"{folder}/hsm-pin")
    lines = ("[Service]", "LoadCredential=", f"LoadCredentialEncrypted=hsm-pin:{sealed}", "")
    box.write(f"{DROP_IN}/sealed.conf", "\n".join(lines))
    box.systemctl("daemon-reload")
    box.systemctl("restart", "chopmark")
    box.wait_for(lambda: is_ready(box), "the gateway to be ready")
    pid = box.shown("chopmark", "MainPID")
    assert PIN not in box.run("cat", f"/proc/{pid}/environ", f"/proc/{pid}/cmdline").stdout
    assert PIN.encode() not in (box.root / sealed[1:]).read_bytes()
    attest(box, "after-sealing")
    box.write(f"{folder}/hsm-pin", PIN, 0o400)
    box.run("rm", sealed, f"{DROP_IN}/sealed.conf")
    box.systemctl("daemon-reload")


def test_hsm_module_in_its_own_unit_is_killed_and_comes_back(pair: Pair) -> None:
    box = pair.sz
    assert box.shown("chopmark-hsm", "User") == "chopmark-hsm"
    was = box.shown("chopmark-hsm", "MainPID")
    box.systemctl("kill", "--kill-whom=all", "--signal=SIGKILL", "chopmark-hsm")
    box.wait_for(lambda: box.shown("chopmark-hsm", "MainPID") not in {"0", was}, "it to be back")
    box.wait_for(lambda: is_ready(box), "the HSM to be back")
    attest(box, "after-the-module")
    assert box.is_active("chopmark")


def test_ledger_is_taken_back_from_the_peer(pair: Pair) -> None:
    box = pair.hk
    size = status(box)["size"]
    pair.sz.wait_for(lambda: status(pair.sz)["peers"][0]["size"] == size, "the replica")
    admin(box, "unit-stop", unit="gateway")
    box.run("sh", "-ec", "rm /var/lib/chopmark/log.db*")
    admin(box, "recover-start")
    box.wait_for(lambda: admin(box, "recover-state")["state"] == "ended", "the recovery to end")
    report = admin(box, "recover-state")["report"]
    assert report["result"] == "goes-on", report
    assert box.shown("chopmark-recover", "Result") == "success"
    admin(box, "unit-start", unit="gateway")
    box.wait_for(lambda: is_ready(box), "the gateway to be ready")
    assert status(box)["size"] >= size
    # Its peers may have to tell it again what they have cosigned.
    box.wait_for(lambda: verdict(box, "one") == "valid", "to know the document, with its quorum")


def test_console_on_the_serial_port(pair: Pair) -> None:
    box, unit = pair.hk, "chopmark-console@ttyS0"
    visitor = Visitor(box, pair.line.far)
    try:
        code = visitor.stage()
        box.systemctl("start", unit)
        box.wait_for(lambda: "the console is at /dev/ttyS0" in box.log(unit), "it to open the port")
        visitor.enrol(code)
        visitor.sign_in()
        assert "hk-1" in visitor.ask("show status")
        # What root does for it, by chopmark-admin.socket, and what the network says, by
        # chopmark-diagnose.socket.
        assert "No candidate" in visitor.ask("show differences")
        assert "PASSED" in visitor.ask("test broker")
        assert box.shown("chopmark-diagnose.socket", "NAccepted") != "0"
        # The port is unplugged: the console ends with it, and comes back with it.
        box.run("udevadm", "trigger", "--action=remove", "--settle", "/sys/class/tty/ttyS0")
        box.wait_for(lambda: not box.is_active(unit), "the console to end with its port")
    finally:
        visitor.close()
    assert box.failed() == []


SERVE = """
import functools, http.server, ssl
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/srv/updates")
server = http.server.HTTPServer(("127.0.0.1", 8444), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/srv/server.pem", "/srv/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
BUNDLE = "a bundle\n" * 100_000


def fetched(box: Box) -> dict[str, Any]:
    """What comes of a fetch that the console asks for."""
    admin(box, "fetch-start")
    box.wait_for(lambda: admin(box, "fetch-state")["state"] == "ended", "the fetch to end")
    return dict(admin(box, "fetch-state")["report"])


def test_release_is_fetched_by_a_unit_that_has_nothing_else(pair: Pair, tmp_path: Path) -> None:
    """From a server of ours on the box itself; there is no image, and so nothing is installed."""
    box, signer, authority = pair.hk, Signer(), Authority(tmp_path, "ca")
    server = authority.issue("server", hosts=("updates.example",))
    note = signer.note(sha256(BUNDLE.encode()).hexdigest(), "9.0")
    box.run("mkdir", "-p", "/etc/rauc", "/srv/updates")
    for path, text in (
        ("/etc/hosts", "127.0.0.1 localhost updates.example\n"),
        ("/etc/chopmark-image", "profile=x86-64\n"),
        ("/etc/rauc/note.vkey", signer.verifier.encode()),
        ("/etc/rauc/system.conf", f"[system]\ncompatible={SORT}\n"),
        ("/etc/chopmark/firmware-ca.pem", authority.path.read_text()),
        ("/srv/server.pem", server.certificate.read_text()),
        ("/srv/server.key", server.key.read_text()),
        ("/srv/serve.py", SERVE),
        (f"/srv/updates/{SORT}.note", note.decode()),
        (f"/srv/updates/{SORT}.raucb", BUNDLE),
    ):
        box.write(path, text)
    box.run("systemd-run", "--quiet", "--unit=updates", PYTHON, "/srv/serve.py")
    listening = ("grep", "-q", f":{8444:04X} 00000000:0000 0A", "/proc/net/tcp")
    try:
        box.wait_for(lambda: box.run(*listening, check=False).returncode == 0, "the server")
        assert fetched(box)["code"] == "no-firmware-source"
        lines = 'source = "https://updates.example:8444/"\nca = "/etc/chopmark/firmware-ca.pem"\n'
        box.run("tee", "-a", CONFIG, given=f"\n[firmware]\n{lines}")
        assert fetched(box) == {"version": "9.0", "size": len(BUNDLE), "done": True}
        there = "/var/lib/private/chopmark-fetch"
        assert box.run("cat", f"{there}/release.raucb").stdout == BUNDLE
        assert box.run("stat", "-c", "%a", there, "/var/lib/private").stdout == "700\n700\n"
        box.write("/etc/chopmark/firmware-ca.pem", Authority(tmp_path, "other").path.read_text())
        assert fetched(box)["code"] == "firmware-source-wrong"
    finally:
        box.systemctl("stop", "updates")
        box.run("rm", "/etc/chopmark-image")
        box.run("sed", "-i", "/^.firmware.$/,$d", CONFIG)
    assert box.failed() == []


def test_upgrade_of_the_package_loses_nothing(pair: Pair) -> None:
    box, deb = pair.sz, package().with_name("next.deb")
    attest(box, "before-the-upgrade")
    size, was = status(box)["size"], box.shown("chopmark", "MainPID")
    (box.root / "root/next.deb").write_bytes(deb.read_bytes())
    box.run("dpkg", "--force-unsafe-io", "-i", "/root/next.deb", seconds=UNPACKING)
    box.wait_for(lambda: restarted(box, was), "the new daemon to be ready")
    assert "+next" in box.run("dpkg-query", "-W", "chopmark").stdout
    assert status(box)["size"] >= size
    assert box.is_active("chopmark-hsm")
    assert verdict(box, "before-the-upgrade") == "valid"


def test_removed_and_purged_package_leaves_the_ledger(pair: Pair) -> None:
    box = pair.sz
    size = status(box)["size"]
    box.run("dpkg", "--remove", "chopmark")
    assert not (box.root / "opt/chopmark").exists()
    assert not box.is_active("chopmark")
    said = box.run("dpkg", "--purge", "chopmark").stderr
    assert "left as it is: /var/lib/chopmark " in said
    assert (box.root / "var/lib/chopmark/log.db").exists()
    box.run("dpkg", "--force-unsafe-io", "-i", "/root/next.deb", seconds=UNPACKING)
    conf = "directories.tokendir = /var/lib/chopmark-hsm/tokens\nobjectstore.backend = file\n"
    box.write("/etc/chopmark/softhsm2.conf", conf)
    box.systemctl("enable", "--now", "chopmark-hsm")
    box.wait_for(lambda: is_ready(box), "the gateway to be ready again")
    assert status(box)["size"] >= size
    assert verdict(box, "before-the-upgrade") == "valid"


def test_no_unit_has_failed(pair: Pair) -> None:
    for box in pair.boxes:
        assert box.failed() == []
