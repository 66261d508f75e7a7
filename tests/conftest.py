"""What all tests share."""

import os
from collections.abc import Generator

import pytest

# xdist sets it for its processes, and a table is as wide as it says
os.environ.pop("COLUMNS", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Lone surrogates, which tests of hostile peers log, cannot travel from the processes that xdist starts."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
