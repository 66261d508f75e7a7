"""The Kubernetes backend: the same experiment as Jobs. Its state is in the objects of the cluster and nowhere else.

Methods import what only they need: `list` and `status` should not wait for templates and cluster files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import already_done
from surreal.orchestrator.backends.kube import experiments
from surreal.orchestrator.backends.kube.connection import say
from surreal.orchestrator.backends.kube.drafts import Drafts, tell
from surreal.orchestrator.backends.kube.lifecycle import delete as remove
from surreal.orchestrator.backends.kube.names import ATTEMPT, CHANGED, EXPERIMENT
from surreal.orchestrator.backends.kube.run_folder.locate import Glance, Seen, folder_of, glances, read_outcome
from surreal.orchestrator.backends.kube.status import collect as observe
from surreal.orchestrator.backends.kube.status.collect import usage
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import CONFIG_MAP_BYTES, STORE_BYTES, packed
from surreal.orchestrator.run.location import Location, forget, remember
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.status import Status
from surreal.orchestrator.run.usage import Usage
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from surreal.protocol.telemetry.gauges import Progress
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.kubeconfig import kubeconfig_files
from surreal.provisioner.kube.objects import name_of, text

if TYPE_CHECKING:
    from surreal.orchestrator.doctor import Check
    from surreal.orchestrator.experiment.experiment import Experiment


class KubeBackend(Drafts):
    """Backend of one namespace of one cluster; `backends.base.Backend` describes the methods."""

    poll_interval, remote = 2.0, True

    def __init__(self, location: Location) -> None:
        """Remember the cluster; send no request yet."""
        super().__init__(location)
        self._glances: dict[str, Glance] = {}
        self._known: dict[str, tuple[str, Progress]] = {}
        """Name -> attempt and the progress that was seen last in it."""

    def close(self) -> None:
        """End the connections to pods that repeated looks keep open."""
        for glance in self._glances.values():
            glance.close()

    def resolve(self, plan: Plan) -> Plan:
        """Return the plan with the place of the run folder, by the storage that the cluster has."""
        from surreal.orchestrator.backends.kube.lifecycle.storage import resolve_storage

        return resolve_storage(plan, self.api)

    def prepared(self) -> AbstractContextManager[None]:
        """Begin nothing."""
        return nullcontext()

    def create(self, experiment: Experiment, plan: Plan, start: Path | None = None) -> None:
        """Check rights and names, then make all objects. Raises InvalidInput when the name is taken."""
        from surreal.orchestrator.backends.kube.lifecycle import code, create

        own = packed(plan.code, experiment.folder, STORE_BYTES if plan.storage.url else CONFIG_MAP_BYTES)
        begin = code.packed_start(plan, start) if start else None

        warnings: list[str] = []

        def prepare(objects: Sequence[Object]) -> None:
            warnings.extend(self.check_room(objects))
            code.send(plan, own)
            if start:
                code.send_start(plan, start)

        create.create(self.api, self.drawer(plan, own, experiment.to_yaml(), begin), say, check=prepare)
        tell(warnings)
        if plan.storage.note:
            say(f"run folder: {plan.storage.note}")
        files = kubeconfig_files(self._location.kubeconfig)
        remember(plan.name, Location("kube", self.api.namespace, self.api.context, files))

    def check(self) -> list[Check]:
        """Check versions, rights, storage, queueing and networking of the cluster."""
        from surreal.orchestrator.backends.kube.doctor.checks import kube_checks

        return list(kube_checks(self.api))

    def names(self) -> list[str]:
        """Return the experiments of the namespace, in order of name."""
        return sorted({*observe.names(self.api), *map(name_of, experiments.listed(self.api))})

    def status(self, name: str) -> Status:
        """Return the state of one run from its objects, their events and its pod. Writes nothing."""
        return experiments.status(self.api, name, self._status)

    def statuses(self) -> list[Status]:
        """Return the state of every run, from one list of each kind, and of the pods that answer in time."""
        seen = observe.snapshots(self.api)
        found = glances(self.api, seen)
        return experiments.with_others(
            self.api,
            (
                status_of(each, shown.progress if shown.progress.steps else None, shown.channels, shown.still)
                for each, shown in zip(seen, found, strict=True)
            ),
        )

    def reconcile(self, name: str) -> None:
        """End roles that outlive a decided run, and record the outcome on its claim."""
        # A user without the right to write still gets the status; the next verb tries again.
        with suppress(SurrealError):
            seen = observe.snapshot(self.api, name)
            remove.end_leftovers(self.api, seen)
            status = self._status(seen)
            if outcome := read_outcome(self.api, seen):
                status = replace(status, state=outcome.state, progress=outcome.progress)
            observe.keep_outcome(self.api, seen, status)
            observe.keep_progress(self.api, seen, status.progress)

    def usage(self, name: str) -> Usage:
        """Return the use of its pods, as the cluster's metrics-server measured it last."""
        seen = observe.snapshot(self.api, name)
        return usage(self.api, seen, status_of(seen, None, self._look(seen).channels))

    def logs(
        self, name: str, source: str | None = None, tail: int | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        """Yield the log lines of pods and run folder, merged by time; see `kube.logs`."""
        from surreal.orchestrator.backends.kube.logs.follow import read

        return read(self.api, name, source, tail, follow)

    def execute(self, name: str, source: str, command: Sequence[str], tty: bool) -> int:
        """Run a command in the pod of a process."""
        from surreal.orchestrator.backends.kube.exec.command import execute

        return execute(self.api, observe.snapshot(self.api, name), source, command, tty)

    def forward(self, name: str, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
        """Forward a port of this machine to a pod, until that ends."""
        from surreal.orchestrator.backends.kube.exec.port_forward import forward

        forward(self.api, observe.snapshot(self.api, name), source, local, remote, ready)

    def metrics_folder(self, name: str) -> AbstractContextManager[Path]:
        """Keep a local copy of the run's metrics up to date."""
        from surreal.orchestrator.backends.kube.run_folder.mirror import metrics_folder

        return metrics_folder(self.api, name)

    def fetch(self, name: str, below: str, target: Path) -> None:
        """Copy files of the run folder from its pod, its claim or its store."""
        with folder_of(self.api, observe.snapshot(self.api, name)) as folder:
            folder.mirror(target, below)

    def files(self, name: str) -> Sequence[str]:
        """Return the names of the files of the run folder."""
        with folder_of(self.api, observe.snapshot(self.api, name)) as folder:
            return [file.name for file in folder.list()]

    def loss_at_stop(self, name: str) -> str:
        """Return what dies with the pod that has the run folder; "" where checkpoints outlive it, or nothing runs."""
        from surreal.orchestrator.backends.kube.lifecycle.storage import loss_at_stop

        seen = observe.snapshot(self.api, name)
        return "" if status_of(seen).over else loss_at_stop(seen)

    def stop(self, name: str) -> bool:
        """Have every process save and end; returns when all pods are gone. False if nothing ran."""
        with suppress(SurrealError):
            seen = observe.snapshot(self.api, name)
            observe.keep_progress(self.api, seen, self._status(seen).progress)
        verb = experiments.stop if experiments.holds(self.api, name) else remove.stop
        return verb(self.api, name, say)

    def resume(self, name: str, accept_changes: bool = False) -> None:
        """Start the next attempt: new Jobs that go on from the last checkpoint."""
        from surreal.orchestrator.backends.kube.lifecycle import code, create
        from surreal.orchestrator.backends.kube.lifecycle.storage import beginning, loss_at_stop

        seen = observe.snapshot(self.api, name)
        status = status_of(seen)
        if seen.created and status.state in ("pending", "running"):
            raise InvalidInput(f"{name}: is {status.state}: nothing to resume. Look at it: surreal status {name}")
        if status.state == "succeeded" and not text(seen.root, "metadata", "annotations", CHANGED):
            raise InvalidInput(already_done(status))
        if text(seen.root, "metadata", "annotations", EXPERIMENT):
            return experiments.resume(self.api, name, seen)
        plan, experiment = code.recorded(seen)
        lost = loss_at_stop(seen)
        say(f"{name} resumes {beginning(lost, status.progress)}")
        if lost:
            observe.forget_progress(self.api, name)
        create.resume(self.api, name, self.drawer(plan, code.sent(self.api, plan), experiment), say)

    def change(self, name: str, changes: Sequence[str], check_only: bool = False) -> Sequence[str]:
        """Write the changed experiment and its plan into the root; `resume` makes the objects follow."""
        from surreal.orchestrator.backends.kube.lifecycle.change import change

        if experiments.holds(self.api, name):
            return experiments.change(self.api, name, changes, check_only)
        return change(self.api, observe.snapshot(self.api, name), changes, self.pools(None, None).pools, check_only)

    def autoscale(self, name: str, say: Callable[[str], None], looks: int | None = None) -> None:
        """Follow the run's need by the parallelism of a Job, until the run is over."""
        from surreal.orchestrator.backends.kube.lifecycle.scaling import autoscale

        autoscale(self.api, name, say, looks)

    def delete(self, name: str) -> None:
        """Remove every object of the run, its results too."""
        held = experiments.holds(self.api, name) and self.api.delete("Experiment", name)
        try:
            remove.delete(self.api, name, say)
        except NotFound:
            forget(name, Location("kube", self.api.namespace, self.api.context))
            if not held:
                observe.snapshot(self.api, name)  # says what there is
        forget(name, Location("kube", self.api.namespace, self.api.context))

    def _status(self, seen: Snapshot) -> Status:
        """Return the status with what a pod shows; while none does, with the progress that was seen last."""
        found = self._look(seen)
        status = status_of(seen, found.progress if found.progress.steps else None, found.channels, found.still)
        now = text(seen.root, "metadata", "annotations", ATTEMPT)
        attempt, known = self._known.get(seen.name, ("", Progress()))
        if not status.progress.steps and attempt == now:
            status = replace(status, progress=replace(known, steps_per_second=None, progress_age=None))
        self._known[seen.name] = (now, status.progress)
        return status

    def _look(self, seen: Snapshot) -> Seen:
        """Read what is known of the run from the pod of the run; keep the connection for the next look."""
        return self._glances.setdefault(seen.name, Glance(self.api)).look(seen)
