"""Fixtures of the tests of what a run writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.algorithms.recording.tmpfs import SmallDisk


@pytest.fixture
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """A file system of 3 MiB with a short path."""
    disk = SmallDisk(folder / "d", 3 * 2**20)
    yield disk
    disk.close()
