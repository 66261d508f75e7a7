"""Objects of ours in a live cluster: NodePools go there, and the experiments that run there are found."""

import json
from collections.abc import Sequence
from typing import Any

from surreal.protocol.errors import SurrealError
from surreal.provisioner.pools.from_cluster import all_items, connect

MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"
"""The label with the experiment's name on all that belongs to it."""
OWNER = "surreal"
TIMEOUT = (5, 60)
"""Seconds to connect, and to wait for an answer."""


def running_experiments(context: str | None) -> list[str]:
    """`namespace/name` of each experiment with a pod that waits or runs.

    Raises SurrealError when the cluster does not answer or lets us not look.
    """
    try:
        pods = all_items(
            connect(context).list_pod_for_all_namespaces,
            "list pods",
            label_selector=f"{MANAGED_BY}={OWNER}",
            field_selector="status.phase!=Succeeded,status.phase!=Failed",
        )
    except PermissionError:
        raise SurrealError("you may not list the pods of all namespaces") from None
    metadata = [pod["metadata"] for pod in pods]
    return sorted({f"{each['namespace']}/{each['labels'].get(INSTANCE, each['name'])}" for each in metadata})


def apply_objects(objects: Sequence[dict[str, Any]], context: str | None) -> None:
    """Make or change cluster-wide custom objects by server-side apply. Raises SurrealError with the cluster's words."""
    from kubernetes.client import ApiException, CustomObjectsApi
    from urllib3.exceptions import HTTPError

    custom = CustomObjectsApi(connect(context).api_client)
    for each in objects:
        name, (group, version) = each["metadata"]["name"], each["apiVersion"].split("/")
        try:
            custom.patch_cluster_custom_object(
                group,
                version,
                each["kind"].lower() + "s",
                name,
                each,
                field_manager=OWNER,
                force=True,
                _content_type="application/apply-patch+yaml",
                _request_timeout=TIMEOUT,
            )
        except ApiException as error:
            raise SurrealError(f"the cluster refuses {each['kind']} {name}: {_words(error)}") from None
        except (HTTPError, OSError) as error:
            raise SurrealError(f"the cluster does not answer: {error}") from None


def _words(error: Any) -> str:
    """What the API server says of a refusal."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"
