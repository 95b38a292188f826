"""Manifests as sha256sum writes them, and the files that proofs go to."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from chopmark.client.keeping import ProofFiles
from chopmark.client.manifest import join_sm3, read_manifest
from chopmark.core.errors import ExistsError, MalformedError, MissingError
from chopmark.core.proof import parse_proof
from softlog import SoftLog

HEX = sha256(b"").hexdigest().encode()


def test_manifest_is_what_sha256sum_writes(tmp_path: Path) -> None:
    names = [b"plain.pdf", b"with space.pdf", b"new\nline", b"back\\slash", b"-", b"\xff\xfe.pdf"]
    names += ["對帳單.pdf".encode(), b" leads", b"*star", b"#hash"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    for option in ("--text", "--binary"):
        command: list[bytes] = [b"sha256sum", option.encode(), b"--", *(b"./" + n for n in names)]
        done = subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
        made = read_manifest(done.stdout.splitlines(keepends=True))
        assert made.names == [b"./" + name for name in names]
        assert made.digests == b"".join(sha256(name).digest() for name in names)
        assert made.name(5) == os.fsdecode(b"./\xff\xfe.pdf")


def test_manifest_takes_capitals_comments_escapes_and_no_last_line_feed() -> None:
    lines = [b"# made by hand\n", HEX.upper() + b"  a\n", b"\\" + HEX + rb" *b\n\\\rc"]
    made = read_manifest(lines)
    assert made.names == [b"a", b"b\n\\\rc"]
    assert made.digests == bytes.fromhex(HEX.decode()) * 2
    assert len(made) == 2
    assert made.fingerprint() == sha256(made.digests).hexdigest()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        HEX + b"\n",
        HEX + b"  \n",
        HEX + b" a\n",
        HEX + b"\t a\n",
        HEX[:-1] + b"  a\n",
        HEX + b"0  a\n",
        b" " + HEX + b"  a\n",
        HEX[:-1] + b"g  a\n",
        b"SHA256 (a) = " + HEX + b"\n",
        HEX + b"  a\r\n",
        HEX + b"  a\x00b\n",
        b"\\" + HEX + b"  a\\tb\n",
        b"\\" + HEX + b"  a\\\n",
    ],
)
def test_manifest_names_the_bad_line(line: bytes) -> None:
    with pytest.raises(MalformedError, match="line 3 ") as caught:
        read_manifest([HEX + b"  a\n", b"#\n", line, HEX + b"  b\n"])
    assert caught.value.hint


@pytest.mark.parametrize("lines", [[], [b"# nothing\n"]])
def test_manifest_without_documents_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(MalformedError, match="no document"):
        read_manifest(lines)


def files(names: list[bytes], folder: Path | None) -> ProofFiles:
    return ProofFiles(read_manifest([HEX + b"  " + name + b"\n" for name in names]), folder)


def test_proofs_go_beside_documents_or_into_one_folder(tmp_path: Path) -> None:
    beside = files([b"a.pdf", b"x/b.pdf"], None)
    assert [beside.path(n) for n in range(2)] == [
        Path("a.pdf.tlog-proof"),
        Path("x/b.pdf.tlog-proof"),
    ]
    one = files([b"a.pdf", b"x/b.pdf"], tmp_path)
    assert one.path(1) == tmp_path / "b.pdf.tlog-proof"
    one.check(may_exist=False)


def test_proofs_of_one_name_are_refused_before_anything(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="two documents"):
        files([b"x/a", b"y/a"], tmp_path).check(may_exist=True)
    with pytest.raises(MalformedError, match="two documents"):
        files([b"./a", b"a"], None).check(may_exist=True)


@pytest.mark.parametrize("name", [b"x/", b"/", b"..", b"x/."])
def test_proofs_of_what_is_no_file_are_refused(tmp_path: Path, name: bytes) -> None:
    with pytest.raises(MalformedError, match="no file's name"):
        files([name], tmp_path).check(may_exist=False)


def test_proofs_that_exist_or_have_no_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tlog-proof").write_text("mine")
    with pytest.raises(ExistsError):
        files([b"a"], tmp_path).check(may_exist=False)
    files([b"a"], tmp_path).check(may_exist=True)
    with pytest.raises(MissingError):
        files([b"a"], tmp_path / "none").check(may_exist=True)
    with pytest.raises(MissingError):
        files([os.fsencode(tmp_path / "none/a")], None).check(may_exist=False)


def test_proof_is_written_once_and_never_over_another(tmp_path: Path) -> None:
    log = SoftLog()
    for document in (b"1", b"2"):
        log.attest(document)
    first, second = (parse_proof(log.proof(index)) for index in range(2))
    made = files([b"a", b"b"], tmp_path)
    assert made.write(0, first)
    log.attest(b"3")
    newer = parse_proof(log.proof(0))
    assert newer != first
    assert made.write(0, newer) is False
    assert made.path(0).read_bytes() == first.encode()
    with pytest.raises(ExistsError):
        made.write(0, second)
    made.path(1).write_text("mine")
    with pytest.raises(ExistsError):
        made.write(1, second)
    assert made.path(1).read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.tlog-proof",
        "b.tlog-proof",
    ]


def listed(*lines: tuple[bytes, str]) -> list[bytes]:
    return [digest.hex().encode() + b" *" + name.encode() + b"\n" for digest, name in lines]


def test_sm3_digests_stand_after_those_of_the_same_document() -> None:
    first, second, third, fourth = (bytes([number]) * 32 for number in range(4))
    manifest = read_manifest(listed((first, "a"), (second, "b")))
    joined = join_sm3(manifest, read_manifest(listed((third, "a"), (fourth, "b"))))
    assert joined.digests == first + third + second + fourth
    assert joined.names == [b"a", b"b"]
    assert joined.fingerprint() != manifest.fingerprint()


@pytest.mark.parametrize(
    ("names", "words"), [("ba", "from document 1 on"), ("abc", "one is longer"), ("a", "longer")]
)
def test_sm3_digests_of_other_documents_are_refused(names: str, words: str) -> None:
    digest = bytes(32)
    manifest = read_manifest(listed((digest, "a"), (digest, "b")))
    with pytest.raises(MalformedError, match=words) as caught:
        join_sm3(manifest, read_manifest(listed(*((digest, name) for name in names))))
    assert caught.value.code == "manifest-sm3"
