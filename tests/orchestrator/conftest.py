"""Fixtures of this layer's tests."""

from collections.abc import Iterator

import pytest

from tests.orchestrator.ray.small_cluster import SmallCluster, small_cluster
from tests.orchestrator.runs import place

__all__ = ["place"]


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[SmallCluster]:
    """A Ray of three raylets on this machine."""
    with small_cluster() as cluster:
        yield cluster
