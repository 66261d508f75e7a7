"""The operator: watches, a queue, a few threads that reconcile, and an election where several of them run."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from surreal.orchestrator.operator.experiments.judge import Patience
from surreal.orchestrator.operator.experiments.place import Place
from surreal.orchestrator.operator.experiments.reconcile import Reconciler
from surreal.orchestrator.operator.loop.election import Election
from surreal.orchestrator.operator.loop.health import HealthServer
from surreal.orchestrator.operator.loop.watching import Watcher
from surreal.orchestrator.operator.loop.work_queue import Key, WorkQueue
from surreal.orchestrator.operator.sweeps import SweepReconciler
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api

WATCHED = ("Experiment", "Sweep", "Job", "Pod")
THREADS = 4
"""Reconciliations at a time, beside one for what a person waits for: looks that take long hold no apply up."""
LEASE = "surreal-operator"
AGAIN_S = 5.0
"""Seconds until the next try after an error."""
RETRIES_S = 10.0
"""Seconds of retries of one request: what needs longer comes again, and has no thread meanwhile."""
WORKS_S, WAITS_S = (5.0, 0.5), (30.0, 2.0)
"""Seconds between two looks at a run that works, and at one that waits: at least, and for each that there is."""
GATHER_S = {"Experiment": 0.5, "Sweep": 2.0}
"""Seconds from a change to a look, unless a person waits for it: pods change together, runs of a sweep all the time."""
POLL_S = 0.2


@dataclass(frozen=True)
class Settings:
    """Settings of one operator."""

    identity: str
    """Name of its pod, in the Lease."""
    port: int = 8080
    """Port of health and metrics; 0 is any."""
    elect: bool = True
    patience: Patience = field(default_factory=Patience)


class Operator:
    """One operator of one namespace."""

    def __init__(self, api: Api, settings: Settings, say: Callable[[str], None] = print) -> None:
        self._api, self._settings, self._say = api, settings, say
        api.retries.longest = RETRIES_S
        self._place = Place(api, settings.patience, say)
        self.reconciler, self._sweeps = Reconciler(self._place), SweepReconciler(self._place)
        self._queue = WorkQueue()
        self._watchers = [Watcher(api, kind, self._changed, say) for kind in WATCHED]
        self._election = Election(api, LEASE, settings.identity, say) if settings.elect else None
        self._ended = threading.Event()
        self._metrics = _Metrics(self._queue, lambda: self.leads)
        self._health: HealthServer | None = None
        self._threads: list[threading.Thread] = []
        self._workers: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """Port of health and metrics."""
        return self._health.port if self._health else 0

    @property
    def leads(self) -> bool:
        """True while this operator may act."""
        return self._election is None or self._election.leads

    def start(self) -> None:
        """Begin all threads."""
        registry = self._metrics.registry
        self._health = HealthServer(self._settings.port, self._alive, self._ready, registry)
        self._workers = [_thread(self._work) for _ in range(THREADS)]
        self._workers.append(_thread(partial(self._work, urgent=True)))
        others = [watcher.run for watcher in self._watchers] + ([self._election.run] if self._election else [])
        self._threads = [*self._workers, *map(_thread, others)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Return once the operator is told to end."""
        self._ended.wait()

    def end(self) -> None:
        """End after the reconciliations that are under way, and leave the lease to others.

        Where the namespace is being removed, the Jobs of all runs go first.
        """
        self._ended.set()
        self._queue.close()
        for watcher in self._watchers:
            watcher.end()
        for thread in self._workers:
            thread.join(AGAIN_S)
        self._place.end_with_namespace()
        if self._election:
            self._election.end()
        self._place.close()
        if self._health:
            self._health.close()

    def _alive(self) -> bool:
        """Return False once any thread is dead: a deaf operator is to be started anew."""
        return not self._ended.is_set() and all(thread.is_alive() for thread in self._threads)

    def _ready(self) -> bool:
        return all(watcher.listed.is_set() for watcher in self._watchers)

    def _changed(self, kind: str, name: str, urgent: bool) -> None:
        self._queue.add((kind, name), GATHER_S[kind], urgent)

    def _work(self, urgent: bool = False) -> None:
        while (key := self._queue.get(urgent)) is not None:
            while not self.leads and not self._ended.wait(POLL_S):
                pass
            if self._ended.is_set():
                return
            again = self._reconcile(key)
            self._queue.done(key)
            if again is not None:
                self._queue.add(key, again)

    def _reconcile(self, key: Key) -> float | None:
        begin = time.monotonic()
        try:
            again = (self._sweeps if key[0] == "Sweep" else self.reconciler).reconcile(key[1])
            self._metrics.done.labels(key[0], "ok").inc()
        except SurrealError as error:
            self._metrics.done.labels(key[0], "error").inc()
            self._say(f"{key[0]} {key[1]}: {error}")
            return AGAIN_S
        except Exception as error:
            # A fault with one resource must not end the work on the others.
            self._metrics.done.labels(key[0], "fault").inc()
            self._say(f"{key[0]} {key[1]}: fault of the operator: {error!r}")
            return 12 * AGAIN_S
        finally:
            self._metrics.took.observe(time.monotonic() - begin)
            self._metrics.count(self.reconciler.active)
        return again if key[0] == "Sweep" else self._next_look(key[1], again)

    def _next_look(self, name: str, again: float | None) -> float | None:
        """Return the seconds until the next look: the more runs there are, the rarer is each looked at."""
        state = self.reconciler.active.get(name)
        if state is None:
            return again
        least, each = WORKS_S if state == "running" else WAITS_S
        alike = sum(other == state for other in list(self.reconciler.active.values()))
        usual = max(least, each * alike)
        return usual if again is None else min(usual, again)


def _thread(work: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=work, name="operator", daemon=True)


class _Metrics:
    """Numbers of one operator, for Prometheus."""

    def __init__(self, queue: WorkQueue, leads: Callable[[], bool]) -> None:
        self.registry = CollectorRegistry()
        prefix, held = "surreal_operator", self.registry
        self.done = Counter(f"{prefix}_reconciliations", "Reconciliations.", ["kind", "result"], registry=held)
        self.took = Histogram(f"{prefix}_reconciliation_seconds", "Seconds that one took.", registry=held)
        self._experiments = Gauge(f"{prefix}_experiments", "Experiments under way.", ["state"], registry=held)
        waiting = Gauge(f"{prefix}_queue_length", "Resources that are due.", registry=held)
        waiting.set_function(lambda: queue.waiting)
        leader = Gauge(f"{prefix}_leader", "1 while this replica acts.", registry=held)
        leader.set_function(lambda: float(leads()))

    def count(self, active: dict[str, str]) -> None:
        """Take over the number of runs in each state."""
        states = list(active.values())
        for state in ("pending", "running"):
            self._experiments.labels(state).set(states.count(state))
