"""The cluster as the reconcilers of an operator share it: machines, events and looks into pods, kept for a while."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from surreal.orchestrator.autoscaling.decision import Autoscaler
from surreal.orchestrator.autoscaling.signs import bounds_of, scaled_role
from surreal.orchestrator.backends.kube.lifecycle import preflight, scaling
from surreal.orchestrator.backends.kube.lifecycle.rbac import Right
from surreal.orchestrator.backends.kube.pools import HIDDEN_NODES
from surreal.orchestrator.backends.kube.run_folder.locate import Glance, Seen
from surreal.orchestrator.backends.kube.status.collect import events
from surreal.orchestrator.backends.kube.status.snapshot import Event, Snapshot
from surreal.orchestrator.operator.experiments.judge import Patience
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import MANAGED_BY, OWNER, Object
from surreal.provisioner.kube.objects import name_of, text
from surreal.provisioner.kube.together import together
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_nodes import inventory
from surreal.provisioner.pools.model import NodePool

POOLS_S, RIGHTS_S = 30.0, 60.0
"""Seconds for which a list of nodes serves, and the answer that all needed rights are there."""
KEPT = 64
"""Connections to pods that stay open. More runs are looked at so rarely that each look may open its own."""
EVENTS_S, EVENTS_SHARE = 1.0, 20.0
"""Seconds for which a list of events serves: this, and so many times what it took."""


@dataclass
class Place:
    """One namespace of one cluster."""

    api: Api
    patience: Patience = field(default_factory=Patience)
    say: Callable[[str], None] = lambda _text: None

    def __post_init__(self) -> None:
        """Know nothing yet."""
        self._lock, self._events_lock = threading.Lock(), threading.Lock()
        self._glances: dict[str, Glance] = {}
        self._scalers: dict[str, Autoscaler] = {}
        self._pools: tuple[float, tuple[NodePool, ...]] = (float("-inf"), ())
        self._events: tuple[float, tuple[Event, ...]] = (float("-inf"), ())
        self._rights: dict[bool, tuple[float, list[Right]]] = {}

    def pools(self) -> tuple[NodePool, ...]:
        """Return the machines to plan for; where nodes are hidden, a pool that holds everything."""
        until, found = self._pools
        if time.monotonic() >= until:
            try:
                found = inventory(self.api.list("Node", everywhere=True), None, machine_table()) or HIDDEN_NODES
            except SurrealError:
                found = HIDDEN_NODES
            self._pools = (time.monotonic() + POOLS_S, found)
        return found

    def check(self, objects: Sequence[Object]) -> list[str]:
        """Check as `surreal create` does and return its warnings; rights that were there serve for a while."""
        queued = any(each["kind"] == "JobSet" for each in objects)
        until, missed = self._rights.get(queued, (float("-inf"), []))
        if time.monotonic() >= until:
            missed = preflight.check_rights(self.api, queued)
            self._rights[queued] = (time.monotonic() + RIGHTS_S, missed)
        return preflight.check_room(self.api, objects, missed)

    def events(self) -> tuple[Event, ...]:
        """Return the events of the namespace, seconds old at most."""
        with self._events_lock:
            until, found = self._events
            if time.monotonic() >= until:
                begin = time.monotonic()
                found = events(self.api, None)
                now = time.monotonic()
                self._events = (now + EVENTS_S + EVENTS_SHARE * (now - begin), found)
            return found

    def look(self, seen: Snapshot) -> Seen:
        """Return what the pod of a run shows; the connection stays open for the next look, unless there are many."""
        with self._lock:
            glance = self._glances.setdefault(seen.name, Glance(self.api))
        shown = glance.look(seen)
        if len(self._glances) > KEPT:
            glance.close()
        return shown

    def autoscale(self, seen: Snapshot) -> str:
        """Give the role whose number of processes may change as many as it needs; return the decision, "" for none."""
        role = scaled_role(seen.plan) if seen.plan else None
        if role is None:
            return ""
        with self._lock:
            scaler = self._scalers.setdefault(seen.name, Autoscaler(bounds_of(role)))
        try:
            decision = scaler.look(scaling.signs(self.api, seen, role), time.monotonic())
        except SurrealError:
            return ""  # a pod that shows nothing now is asked again at the next look
        if decision is None:
            return ""
        scaling.set_processes(self.api, seen.name, role.name, decision.actors)
        return f"{role.name}: {decision.actors}: {decision.reason}"

    def end_with_namespace(self) -> None:
        """Remove the Jobs of all runs if the namespace is being removed; it could not go otherwise.

        Kubernetes removes pods before Jobs, and a Job keeps a failed pod until its next try, which cannot be made.
        """
        try:
            namespace = self.api.find("Namespace", self.api.namespace)
            if text(namespace, "status", "phase") == "Terminating":
                jobs = self.api.list("Job", f"{MANAGED_BY}={OWNER}")
                together(lambda job: self.api.delete("Job", name_of(job)), jobs)
        except SurrealError as error:
            self.say(f"namespace {self.api.namespace}: {error}")

    def forget(self, name: str) -> None:
        """End the connection to a run that is over or gone."""
        with self._lock:
            glance = self._glances.pop(name, None)
            self._scalers.pop(name, None)
        if glance:
            glance.close()

    def close(self) -> None:
        """End all connections."""
        for name in list(self._glances):
            self.forget(name)
