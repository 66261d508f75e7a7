"""A suite of its own for each test, and no experiment left after it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.suites import Suite


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    with tempfile.TemporaryDirectory(prefix="s") as home:
        found = Suite(Path(home), tmp_path)
        yield found
        found.clear()
