import asyncio
import gc
import logging
import sys

import pytest
import uvloop

from chopmark.service.runtime import YOUNG, run_loop, settle


async def name_loop(names: list[str]) -> None:
    names.append(type(asyncio.get_running_loop()).__module__)


def test_daemon_runs_on_uvloop() -> None:
    names: list[str] = []
    run_loop(name_loop(names))
    assert names == [uvloop.__name__]


def test_daemon_runs_without_uvloop_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    names: list[str] = []
    with caplog.at_level(logging.WARNING):
        run_loop(name_loop(names))
    assert names[0].startswith("asyncio")
    assert "uvloop cannot be loaded" in caplog.text


def test_errors_come_out_as_they_are() -> None:
    async def fail() -> None:
        async with asyncio.TaskGroup():
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        run_loop(fail())
    assert isinstance(caught.value.exceptions[0], ZeroDivisionError)


def test_what_is_built_is_passed_over_by_the_collector() -> None:
    thresholds = gc.get_threshold()
    try:
        settle()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] == YOUNG
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
