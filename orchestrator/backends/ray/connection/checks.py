"""Checks of Ray here and in a cluster, for `surreal doctor --on ray`."""

from collections.abc import Callable, Iterator

from surreal.orchestrator.backends.ray.connection.address import token_source
from surreal.orchestrator.backends.ray.connection.cluster import Cluster, require_ray
from surreal.orchestrator.doctor import Check
from surreal.protocol.errors import SurrealError


def ray_checks(connect: Callable[[], Cluster]) -> Iterator[Check]:
    """Yield the checks, each as soon as it is done."""
    try:
        yield Check("ray", "ok", f"Ray {require_ray().__version__}")
    except SurrealError as error:
        yield Check("ray", "missing", "not installed", str(error))
        return
    try:
        cluster = connect()
    except SurrealError as error:
        yield Check("cluster", "missing", "does not answer", str(error))
        return
    total = cluster.ray.cluster_resources()
    nodes = len(cluster.nodes())
    yield Check(
        "cluster",
        "ok",
        f"{nodes} nodes, {total.get('CPU', 0):g} CPU, {total.get('GPU', 0):g} GPU at {cluster.address}",
    )
    if source := token_source():
        yield Check("token", "ok", f"from {source}", "Ray sends it unencrypted unless RAY_USE_TLS is set")
    else:
        yield Check(
            "token", "warn", "none", "if the cluster demands none, all who reach it run code there: RAY_AUTH_MODE=token"
        )
