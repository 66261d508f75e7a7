"""Connection of a backend to one namespace of one cluster, and its words to the person who waits."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from surreal.orchestrator.backends.base import Inventory
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api


class Connected:
    """The part of a backend that knows its cluster."""

    def __init__(self, location: Location) -> None:
        """Remember the cluster; send no request yet."""
        self._location = location

    @cached_property
    def api(self) -> Api:
        """The cluster that the options mean."""
        location = self._location
        return Api.connect(location.kubeconfig, location.context, location.namespace, say)

    def pools(self, cluster_file: Path | None, prices: Path | None) -> Inventory:
        """Return the live pools, with those, the bounds and the prices of a cluster file."""
        from surreal.orchestrator.backends.kube.pools import pools

        return pools(self._location, lambda: self.api.context, cluster_file, prices)

    @cached_property
    def _user(self) -> str:
        """The cluster's name for the user; empty where the cluster does not say."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        with suppress(SurrealError, KeyError):
            return str(self.api.post("SelfSubjectReview", review)["status"]["userInfo"]["username"])
        return ""


def say(text: str) -> None:
    """Print a message for the person who waits for the cluster."""
    print(text, file=sys.stderr)
