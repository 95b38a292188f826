"""What a developer's machine may lack is skipped with its reason; in CI that is a failure."""

import os
from collections.abc import Generator
from typing import NoReturn

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """For a conftest whose tests may not be left out where `CI` is set."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be: {report.longrepr}"
    return report


def leave_out(reason: str) -> NoReturn:
    """Skip the test that calls, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"in CI nothing may be left out: {reason}")
    pytest.skip(reason)
