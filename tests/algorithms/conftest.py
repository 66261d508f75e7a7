"""Fixtures of this layer's tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for ipc sockets."""
    with tempfile.TemporaryDirectory(prefix="s") as path:
        yield Path(path)
