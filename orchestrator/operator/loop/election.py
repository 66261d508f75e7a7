"""Election of a leader among several operators of one namespace, by a Lease.

Each keeps its own clock: a lease counts as left when it did not change for its duration as this process measures it, so
that clocks of machines need not agree. A leader that cannot renew in time steps down before another takes over.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import CONFLICT, ApiError, TakenError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import number, text
from surreal.provisioner.kube.retries import Complaint

DURATION_S = 15.0
"""Seconds without a renewal after which another may lead."""
DEADLINE_S = 10.0
"""Seconds without a renewal after which a leader steps down by itself."""
RETRY_S = 3.0


class Election:
    """One candidate."""

    def __init__(
        self,
        api: Api,
        name: str,
        identity: str,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._name, self._identity = api, name, identity
        self._tell, self._clock = tell, clock
        self._complaint = Complaint(tell)
        self._led = False
        self._renewed = float("-inf")
        self._seen: tuple[str, float] = ("", float("-inf"))
        """Version of another's lease, and when this process saw it first."""
        self._ended = threading.Event()

    @property
    def leads(self) -> bool:
        """True while this process may act."""
        return self._clock() - self._renewed < DEADLINE_S

    def run(self) -> None:
        """Stand for election until `end`."""
        while not self._ended.is_set():
            self.step()
            self._ended.wait(RETRY_S)

    def step(self) -> None:
        """Take, renew or only look at the lease."""
        try:
            self._take()
        except SurrealError as error:
            # A leader that cannot renew steps down by its clock.
            self._complaint.say(f"lease {self._name}: {error}")
        if self.leads != self._led:
            self._led = self.leads
            self._tell(f"{self._identity} acts" if self._led else f"{self._identity} does not act: its lease ran out")

    def end(self) -> None:
        """Stop standing, and leave the lease to the others at once."""
        self._ended.set()
        if not self.leads:
            return
        self._renewed = float("-inf")
        try:
            held = self._api.find("Lease", self._name)
            if held and text(held, "spec", "holderIdentity") == self._identity:
                self._write(held, {"holderIdentity": "", "leaseDurationSeconds": 1})
        except SurrealError:
            return  # it runs out by itself

    def _take(self) -> None:
        """Write this process into the lease where that is free or its own."""
        held = self._api.find("Lease", self._name)
        # The time before the write: an answer to the read may have taken long.
        at = self._clock()
        if held is None:
            taken = self._make()
        else:
            wanted = self._wanted(held, at)
            taken = bool(wanted) and self._write(held, wanted)
        if taken:
            self._renewed = at

    def _wanted(self, held: Object, at: float) -> Object:
        """Return what this process may write into a lease that is there; empty for nothing."""
        holder = text(held, "spec", "holderIdentity")
        if holder == self._identity:
            return {"renewTime": _now()}
        version = text(held, "metadata", "resourceVersion")
        if version != self._seen[0]:
            self._seen = (version, at)
        if holder and at - self._seen[1] < max(DURATION_S, number(held, "spec", "leaseDurationSeconds")):
            return {}
        changes = number(held, "spec", "leaseTransitions") + 1
        return {**self._own(), "leaseTransitions": changes}

    def _make(self) -> bool:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": {**self._own(), "leaseTransitions": 0},
        }
        try:
            self._api.post("Lease", lease)
        except TakenError:
            return False
        return True

    def _write(self, held: Object, spec: Object) -> bool:
        """Change the lease if it is still as it was seen."""
        about = {"resourceVersion": text(held, "metadata", "resourceVersion")}
        try:
            self._api.patch("Lease", self._name, {"metadata": about, "spec": spec})
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            return False
        return True

    def _own(self) -> Object:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION_S),
            "acquireTime": _now(),
            "renewTime": _now(),
        }


def _now() -> str:
    """Return the time as a Lease has it: microseconds, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
