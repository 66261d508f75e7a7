"""Backend of `--on kube --engine ray`: a RayJob for each run. Its state is in the cluster and in the run folder."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import Diff, Difference, Manifest, Unchangeable, refuse_start
from surreal.orchestrator.backends.kube.connection import Connected, say
from surreal.orchestrator.backends.kube.kuberay import lifecycle, look
from surreal.orchestrator.backends.kube.kuberay.render import Moment, render
from surreal.orchestrator.backends.kube.names import ATTEMPT, RUN, USER, ZERO_RUN_ID
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run import log_files
from surreal.orchestrator.run.code_archive import CONFIG_MAP_BYTES, Code, packed
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.location import Location, forget, remember
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.status import OUTCOMES, Status
from surreal.orchestrator.run.usage import Usage
from surreal.orchestrator.run.wiring import ending_role
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.kube.kubeconfig import DEFAULT_NAMESPACE, kubeconfig_files
from surreal.provisioner.kube.objects import dig, name_of, number, text

if TYPE_CHECKING:
    from surreal.orchestrator.doctor import Check
    from surreal.orchestrator.experiment.experiment import Experiment

NEEDS_RAY = "each pod runs Ray: its image needs it, by pip install 'surreal[ray]' (docs/ray.md)"
BESIDE = (
    "KubeRay adds a head of 1 CPU and 3 GiB, and each pod has 0.1 CPU and 1 GiB for Ray beside what its role asks for"
)


class KubeRayBackend(Connected, Unchangeable):
    """Backend of the RayJobs of one namespace; `backends.base.Backend` describes the methods."""

    poll_interval = 2.0
    remote = True

    def resolve(self, plan: Plan) -> Plan:
        """Return the plan with the place of the run folder, and what Ray takes beside the roles."""
        from surreal.orchestrator.backends.kube.lifecycle.storage import resolve_storage

        found = resolve_storage(plan, self.api)
        note = found.storage.note.replace(f"{ending_role(plan).name}'s pod", "head's pod")
        storage = found.storage.model_copy(update={"note": note})
        return found.model_copy(
            update={"storage": storage, "notes": (*found.notes, BESIDE), "warnings": (*found.warnings, NEEDS_RAY)}
        )

    def create(self, experiment: Experiment, plan: Plan, start: Path | None = None) -> None:
        """Check rights, names and KubeRay, then make all objects. Raises InvalidInput when the name is taken."""
        refuse_start(start)
        draw = self._draw(plan, _code(experiment, plan), experiment.to_yaml())
        lifecycle.check(self.api, draw(ZERO_RUN_ID))
        lifecycle.create(self.api, plan, draw)
        if plan.storage.note:
            say(f"run folder: {plan.storage.note}")
        remember(plan.name, self._where())

    def dry_run(self, experiment: Experiment, plan: Plan, *, server: bool) -> list[str]:
        """Return the objects; with `server` the cluster checks each. Its KubeRay checks more only later."""
        objects = self._draw(plan, _code(experiment, plan), experiment.to_yaml())(ZERO_RUN_ID)
        if server:
            lifecycle.check(self.api, objects)
            for each in objects[1:]:
                self.api.apply(each["kind"], each, dry_run=True)
        return [f"{each['kind']} {name_of(each)}" for each in objects]

    def render(self, experiment: Experiment, plan: Plan, *, with_keys: bool, offline: bool) -> list[Manifest]:
        """Return the objects as YAML; there are no keys among them, which the supervisor makes in the cluster."""
        from surreal.orchestrator.backends.kube.kuberay.render import draw

        run = secrets.token_hex(4) if with_keys else ZERO_RUN_ID
        namespace = self._location.namespace or DEFAULT_NAMESPACE if offline else self.api.namespace
        found = draw(plan, run, namespace, _code(experiment, plan), experiment.to_yaml())
        return [
            Manifest(f"{number:02}-{each.data['kind'].lower()}-{name_of(each.data)}.yaml", each.text)
            for number, each in enumerate(found)
        ]

    def diff(self, experiment: Experiment, plan: Plan) -> Diff:
        """Compare with the live objects; the server fills in its defaults first."""
        from surreal.orchestrator.backends.kube.lifecycle.diff import diff

        live = self.api.find(lifecycle.JOB, plan.name) or {}
        marks, run = dig(live, "metadata", "annotations") or {}, text(live, "metadata", "labels", RUN)
        moment = Moment(number(marks, ATTEMPT) or 1, dig(live, "spec", "suspend") is True)
        code, written = _code(experiment, plan), experiment.to_yaml()
        user = marks.get(USER, "")
        objects = render(plan, run or ZERO_RUN_ID, self.api.namespace, code, written, moment, user)
        found = diff(self.api, plan.name, objects)
        return Diff(
            len(objects), tuple(Difference(each.kind, each.name, each.change, each.note, each.text()) for each in found)
        )

    def check(self) -> list[Check]:
        """Check versions, rights, storage, queueing and networking of the cluster, and KubeRay."""
        from surreal.orchestrator.backends.kube.doctor.checks import kube_checks
        from surreal.orchestrator.doctor import Check

        found = list(kube_checks(self.api))
        try:
            self.api.list(lifecycle.JOB)
            return [*found, Check("kuberay", "ok", "knows RayJobs")]
        except SurrealError:
            return [*found, Check("kuberay", "missing", "knows no RayJob", lifecycle.REMEDY)]

    def names(self) -> list[str]:
        """Return the runs of the namespace, sorted."""
        return look.names_of(self.api)

    def status(self, name: str) -> Status:
        """Return the state of one run from its RayJob, its pods and its run folder. Writes nothing."""
        return look.status(self.api, look.look(self.api, name))

    def statuses(self) -> Iterator[Status]:
        """Yield the state of every run; one that is deleted meanwhile is left out."""
        for name in self.names():
            try:
                yield self.status(name)
            except SurrealError as error:
                yield Status(name, "kube", "", "failed", str(error))

    def reconcile(self, name: str) -> None:
        """Note how far the run has come, for when its pods are gone."""
        with suppress(SurrealError):
            seen = look.look(self.api, name)
            look.keep_progress(self.api, seen, look.status(self.api, seen))

    def usage(self, name: str) -> Usage:
        """Return the use of its pods, as the cluster's metrics-server measured it last; Ray's own part is in it."""
        from surreal.orchestrator.backends.kube.status.collect import usage

        seen = look.look(self.api, name)
        found = look.status(self.api, seen)
        return usage(self.api, look.snapshot(self.api, seen, found), found)

    def logs(
        self, name: str, source: str | None = None, tail: int | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        """Yield the log lines that the supervisor keeps in the run folder, merged by time."""
        seen = look.look(self.api, name)
        sources = log_files.choose_sources(name, seen.plan.processes(), source)
        with tempfile.TemporaryDirectory(prefix="surreal-") as kept, look.folder_of(self.api, seen) as folder:
            copy = Folder(Path(kept))
            copy.logs.mkdir()
            folder.mirror(copy.path, "logs/")

            def over() -> bool:
                ended = self.status(name).over
                with suppress(SurrealError):  # the head may be gone by now
                    folder.mirror(copy.path, "logs/")
                return ended

            yield from log_files.read(copy, sources, tail, over if follow else None)

    def execute(self, name: str, source: str, command: Sequence[str], tty: bool) -> int:
        """Run a command in the pod of a process."""
        from surreal.orchestrator.backends.kube.exec.command import execute

        seen = look.look(self.api, name)
        found = look.snapshot(self.api, seen, look.status(self.api, seen))
        return execute(self.api, found, source, command, tty)

    def forward(self, name: str, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
        """Forward a port of this machine to the pod of a process, until that ends."""
        from surreal.orchestrator.backends.kube.exec.port_forward import forward

        seen = look.look(self.api, name)
        forward(self.api, look.snapshot(self.api, seen, look.status(self.api, seen)), source, local, remote, ready)

    def metrics_folder(self, name: str) -> AbstractContextManager[Path]:
        """Provide a copy of the metrics, brought up to date every few seconds while a head runs."""
        return look.metrics_folder(self.api, look.look(self.api, name))

    def fetch(self, name: str, below: str, target: Path) -> None:
        """Copy files of the run folder from the head or the claim."""
        with look.folder_of(self.api, look.look(self.api, name)) as folder:
            folder.mirror(target, below)

    def files(self, name: str) -> Sequence[str]:
        """Return the names of the files of the run folder."""
        with look.folder_of(self.api, look.look(self.api, name)) as folder:
            return [file.name for file in folder.list()]

    def loss_at_stop(self, name: str) -> str:
        """Return what dies with the head's pod; "" where checkpoints outlive it, or nothing runs."""
        seen = look.look(self.api, name)
        if look.status(self.api, seen).over or seen.plan.storage.kind != "emptyDir":
            return ""
        return (
            f"metrics, logs and checkpoints of {name} lie on its head's own disk and die with it. "
            "Resume starts from step 0."
        )

    def stop(self, name: str) -> bool:
        """Have every process save and end, then suspend the RayJob; returns when all pods are gone."""
        from surreal.orchestrator.backends.kube.kuberay.inside import ask_to_stop

        seen = look.look(self.api, name)
        found = look.status(self.api, seen)
        if found.over and not (found.state == "stopped" and seen.pods):
            return False
        look.keep_progress(self.api, seen, found)
        if seen.head:
            say("its processes save and end")
            ask_to_stop(self.api, name_of(seen.head), name)
        lifecycle.stop(self.api, seen.job)
        return True

    def resume(self, name: str, accept_changes: bool = False) -> None:
        """Have KubeRay make another cluster, in which the run goes on from its last checkpoint."""
        seen = look.look(self.api, name)
        state = look.status(self.api, seen).state
        if state not in OUTCOMES:
            raise InvalidInput(f"{name} is {state}: nothing to resume. Look at it: surreal status {name}")
        if state == "succeeded":
            raise InvalidInput(f"{name} has succeeded: nothing to resume. Train on with another name and file.")
        if accept_changes:
            raise InvalidInput("--accept-changes: the image of a RayJob stays what it was. Leave it out.")
        if state == "stopped":
            lifecycle.go_on(self.api, seen.plan, seen.job)
            return
        attempt = number(dig(seen.job, "metadata", "annotations"), ATTEMPT) + 1
        draw = self._draw(seen.plan, look.code_of(self.api, seen), seen.experiment, attempt)
        lifecycle.renew(self.api, seen.plan, draw)

    def autoscale(self, name: str, say: Callable[[str], None], looks: int | None = None) -> None:
        """Raise InvalidInput: a worker group keeps its size."""
        raise InvalidInput(f"--auto: the worker groups of {name} keep their size. Leave out --engine ray for Jobs.")

    def delete(self, name: str) -> None:
        """Remove every object of the run, its results too."""
        if name in self.names():
            lifecycle.delete(self.api, name)
            forget(name, self._where())
            return
        forget(name, self._where())
        look.look(self.api, name)  # says what there is

    def _where(self) -> Location:
        files = kubeconfig_files(self._location.kubeconfig)
        return Location("kube", self.api.namespace, self.api.context, files, engine="ray")

    def _draw(self, plan: Plan, code: Code | None, experiment: str, attempt: int = 1) -> lifecycle.Draw:
        """Return a function that draws the objects of a run, suspended."""
        namespace, user = self.api.namespace, self._user
        moment = Moment(attempt, suspended=True, queued=False)
        return lambda run: render(plan, run, namespace, code, experiment, moment, user)


def _code(experiment: Experiment, plan: Plan) -> Code | None:
    return packed(plan.code, experiment.folder, CONFIG_MAP_BYTES)
