"""Events on resources: the sentences of `surreal status`, where kubectl describe shows them.

An event's name is made of what it says, so that a repetition counts up and does not flood the namespace.
"""

import hashlib
from datetime import UTC, datetime

from surreal.orchestrator.run.describe import numberless
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import TakenError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import name_of, number, text

COMPONENT = "surreal-operator"
LONGEST = 1024
"""Characters of a message that the API takes."""


def tell(api: Api, about: Object, reason: str, message: str, warning: bool = False) -> None:
    """Write an event on a resource; what is refused is lost, since the status says it too."""
    uid = text(about, "metadata", "uid")
    kind = "Warning" if warning else "Normal"
    key = hashlib.sha256(f"{uid} {kind} {reason} {numberless(message)}".encode()).hexdigest()[:16]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name_of(about)}.{key}"},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": name_of(about),
            "namespace": api.namespace,
            "uid": uid,
        },
        "reason": reason,
        "message": message[:LONGEST],
        "type": kind,
        "source": {"component": COMPONENT},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        _write(api, event, now)
    except SurrealError:
        return


def _write(api: Api, event: Object, now: str) -> None:
    try:
        api.post("Event", event)
    except TakenError:
        name = name_of(event)
        known = api.find("Event", name) or {}
        again = {"count": number(known, "count") + 1, "lastTimestamp": now, "message": event["message"]}
        api.patch("Event", name, again)
