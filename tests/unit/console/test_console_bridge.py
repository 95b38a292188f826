"""What the other side of a transfer may do, and how a person ends it."""

import gc
from pathlib import Path

import pytest

from chopmark.console.desk import InterruptedByUserError
from chopmark.console.transfer.bridge import Limits, Watch, run
from consoledesk import wire_pair

LIMITS = Limits(10_000, 60.0, 30.0, 30.0)
HEADER = b"**\x18B0900000400a87c\r\x8a\x11"


@pytest.mark.parametrize("data", [b"\x03", b"\x03\x03", HEADER + b"\x03", b"\x03" + HEADER])
def test_ctrl_c_ends_sending_wherever_it_stands(data: bytes) -> None:
    watch = Watch(LIMITS, sending=True)
    watch.feed(HEADER, 0.1)
    with pytest.raises(InterruptedByUserError):
        watch.feed(data, 0.1)


def test_ctrl_c_in_what_is_received_is_data() -> None:
    watch = Watch(LIMITS, sending=False)
    watch.feed(HEADER, 0.1)
    watch.feed(b"\x03", 0.1)
    watch.feed(b"a\x03b", 5.0)
    assert watch.count == len(HEADER) + 4
    with pytest.raises(InterruptedByUserError):
        watch.feed(b"\x03", 5.0)


async def test_program_that_reads_no_more_is_written_nothing_and_asyncio_has_nothing_to_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = wire_pair()
    for _ in range(200):
        await near.write(b"x" * 4096)
    closed = ("/bin/sh", "-c", "exec 0<&-; sleep 0.2; exit 1")
    watch = Watch(Limits(10_000_000, 60.0, 30.0, 30.0), sending=False)
    assert (await run(far, closed, tmp_path, watch)).code == 1
    gc.collect()
    assert [one.message for one in caplog.records if one.name == "asyncio"] == []
