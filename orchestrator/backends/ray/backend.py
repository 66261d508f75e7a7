"""The Ray backend: the same experiment as actors of a Ray cluster. Its state is with the supervisors there."""

import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import Inventory, Unchangeable, WithoutObjects
from surreal.orchestrator.backends.ray import placement
from surreal.orchestrator.backends.ray.connection import own_ray
from surreal.orchestrator.backends.ray.connection.cluster import NAMESPACE, Cluster, starts_its_own
from surreal.orchestrator.backends.ray.runs import Runs
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run import log_files
from surreal.orchestrator.run.home import home
from surreal.orchestrator.run.location import Location, forget, remember
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.provenance import provenance
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError

if TYPE_CHECKING:
    from surreal.orchestrator.doctor import Check
    from surreal.orchestrator.experiment.experiment import Experiment
    from surreal.orchestrator.run.usage import Usage

STOP_SECONDS = 90.0
METRICS_SECONDS = 5.0
"""Seconds between two looks for new metrics."""
TAIL_BYTES = 64 * 1024
"""Bytes of a log that are fetched for each line of its tail that is wanted, up to 32 lines."""


class RayBackend(Unchangeable, WithoutObjects):
    """Backend of one Ray cluster; `backends.base.Backend` describes the methods."""

    poll_interval = 2.0
    remote = True

    def __init__(self, location: Location) -> None:
        """Remember the cluster; ask nothing yet."""
        self._runs = Runs(location)

    def cluster(self, start: bool = False) -> Cluster:
        """Return the cluster, connected. `start` starts one here where none is named."""
        return self._runs.cluster(start)

    def pools(self, cluster_file: Path | None, prices: Path | None) -> Inventory:
        """Return the machines of the cluster. Raises InvalidInput for a cluster file, which is of Kubernetes."""
        from surreal.orchestrator.backends.ray.connection.pools import pools
        from surreal.provisioner.pools.local import local_pool

        if cluster_file:
            raise InvalidInput(
                f"{cluster_file}: a cluster file describes Kubernetes, and --on ray asks Ray itself. Leave it out."
            )
        if starts_its_own(self._runs.location) or (cluster := self.cluster()).own:
            return Inventory((local_pool(),))
        found = pools(cluster.nodes(), cluster.free())
        if not found:
            raise InvalidInput(f"{cluster.location.on}: no node there has a CPU. Add one: ray start --address=...")
        return Inventory(found)

    def resolve(self, plan: Plan) -> Plan:
        """Return the plan with the place of the run folder, and warnings of what means nothing on Ray."""
        from surreal.orchestrator.backends.ray.storage import resolved

        return resolved(plan)

    def create(self, experiment: "Experiment", plan: Plan, start: Path | None = None) -> None:
        """Start the supervisor and have it begin. Raises InvalidInput when the name is taken."""
        from surreal.orchestrator.backends.ray.actors.supervisor import Supervisor
        from surreal.orchestrator.run.code_archive import packed

        own = packed(plan.code, experiment.folder)
        cluster = self.cluster(start=True)
        options = placement.supervisor_options(plan.name)
        try:
            supervisor = cluster.ray.remote(Supervisor).options(namespace=NAMESPACE, **options).remote(plan.name)
        except ValueError as error:
            if "already" not in str(error):
                raise
            raise InvalidInput(self._taken(plan.name)) from None
        digest = own.digest if own else None
        made = provenance(experiment.folder / plan.code, digest, str(plan.env.get("id", "")))
        documents = {"experiment": experiment.to_yaml(), "plan": plan.to_json()}
        try:
            self._runs.require_same_version(supervisor)
            code = (own.digest, own.data) if own else None
            cluster.call(supervisor.create.remote(documents, made, code, start is None))
            if start:
                self._runs.begin_from(supervisor, start)
        except BaseException:
            cluster.ray.kill(supervisor, no_restart=True)
            raise
        if cluster.own:
            _say(f"{plan.name} runs in the Ray that surreal started here, at {cluster.address}")
        remember(plan.name, cluster.location)

    def dry_run(self, experiment: "Experiment", plan: Plan, *, server: bool) -> list[str]:
        """Return the actors that `create` would make. Raises as `create`; `server` only asks for the name."""
        from surreal.orchestrator.run.code_archive import packed

        packed(plan.code, experiment.folder)
        if server and plan.name in self.names():
            raise InvalidInput(self._taken(plan.name))
        groups = {role.name for role in plan.roles if placement.starts_together(plan, role)}
        lines = [f"actor supervisor of {plan.name}, detached, on the head's node"]
        for role in plan.roles:
            together = f", in one placement group ({placement.strategy(role)})" if role.name in groups else ""
            lines.append(f"actors {role.name} x {role.replicas}: {placement.in_words(role)} each{together}")
        return lines

    def check(self) -> "list[Check]":
        """Check Ray here and in the cluster."""
        from surreal.orchestrator.backends.ray.connection.checks import ray_checks

        return list(ray_checks(self.cluster))

    def names(self) -> list[str]:
        """Return the runs whose supervisors live, sorted; none where no Ray of ours runs here."""
        return self._runs.names()

    def reconcile(self, name: str) -> None:
        """Return at once: the supervisor leaves nothing behind."""

    def status(self, name: str) -> Status:
        """Return the status of one run, as its supervisor says it."""
        return Status.from_data(self._runs.ask(name, "status"))

    def statuses(self) -> Iterator[Status]:
        """Yield the status of every run; one that is deleted meanwhile is left out."""
        for name in self.names():
            try:
                yield self.status(name)
            except NotFound:
                continue
            except SurrealError as error:
                yield Status(name, "ray", "", "stopped", f"its supervisor cannot be asked: {error}")

    def usage(self, name: str) -> "Usage":
        """Return what its processes and their children use, watched for half a second."""
        from surreal.orchestrator.run.usage import Used, usage_of

        used = self._runs.ask(name, "usage")
        split = {(who.partition("/")[0], int(who.partition("/")[2])): Used(*found) for who, found in used.items()}
        return usage_of(self.status(name), self._runs.plan(name), split)

    def logs(
        self, name: str, source: str | None = None, tail: int | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        """Yield the log lines, merged by time, from a copy that is brought up to date; see `run.log_files`."""
        folder, copy = self._runs.copy(name)
        processes = () if source == log_files.SUPERVISOR else self._runs.plan(name).processes()
        sources = log_files.choose_sources(name, processes, source)
        size = TAIL_BYTES * min(32, tail) if tail is not None and not follow else None

        def over() -> bool:
            ended = self.status(name).over
            copy.update("logs/")
            return ended

        copy.update("logs/supervisor" if source == log_files.SUPERVISOR else "logs/", size)
        yield from log_files.read(folder, sources, tail, over if follow else None)

    def execute(self, name: str, source: str, command: Sequence[str], tty: bool) -> int:
        """Run a command beside a process, with its variables; Ray has no terminal, and nothing is read from stdin."""
        cluster, host = self.cluster(), self._runs.ask(name, "host", source)
        number, code = cluster.call(host.begin.remote(list(command))), None
        while code is None:
            output, errors, code = cluster.call(host.printed.remote(number))
            for stream, data in ((sys.stdout, output), (sys.stderr, errors)):
                stream.buffer.write(data)
                stream.flush()
        return int(code) if code >= 0 else 128 - int(code)

    def forward(self, name: str, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
        """Raise InvalidInput: Ray forwards no ports."""
        node = next((each.node for role in self.status(name).roles.values() for each in role), "its node")
        raise InvalidInput(
            f"{name}: Ray forwards no ports. {source} serves {remote} on its node, such as {node}: connect there."
        )

    @contextmanager
    def metrics_folder(self, name: str) -> Iterator[Path]:
        """Provide a copy of the metrics, brought up to date every few seconds."""
        closing = threading.Event()
        with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
            copy = self._runs.copier(name, Path(folder))
            Path(folder, "metrics").mkdir()
            copy.update("metrics/")

            def keep_up() -> None:
                while not closing.wait(METRICS_SECONDS):
                    with suppress(SurrealError):
                        copy.update("metrics/")

            thread = threading.Thread(target=keep_up, daemon=True)
            thread.start()
            try:
                yield Path(folder, "metrics")
            finally:
                closing.set()
                thread.join()

    def fetch(self, name: str, below: str, target: Path) -> None:
        """Copy files of the run folder."""
        self._runs.copier(name, target).update(below)

    def files(self, name: str) -> Sequence[str]:
        """Return the names of the files of the run folder."""
        return sorted(self._runs.ask(name, "files", ""))

    def loss_at_stop(self, name: str) -> str:
        """Return "": files outlive the actors. Raises NotFound for a run that is not there."""
        self.status(name)
        return ""

    def stop(self, name: str) -> bool:
        """Have every process save and end; returns when all are gone. False if nothing ran."""
        return bool(self._runs.ask(name, "stop", seconds=STOP_SECONDS))

    def resume(self, name: str, accept_changes: bool = False) -> None:
        """Have the supervisor begin again; one that is gone, with an earlier Ray, is started in its folder."""
        cluster = self.cluster(start=True)
        supervisor = self._runs.supervisor_or_revived(name)
        cluster.call(supervisor.resume.remote(accept_changes))
        remember(name, cluster.location)

    def change(self, name: str, changes: Sequence[str], check_only: bool = False) -> Sequence[str]:
        """Replace values of a run that does not run; see `backends.base.Backend`."""
        from surreal.orchestrator.plan.change import changed, new_warnings

        with self._runs.documents(name) as (text, plan, code):
            experiment, planned = changed(text, changes, code, plan, self.pools(None, None).pools)
        if not check_only:
            self._runs.ask(name, "change", experiment.to_yaml(), planned.to_json())
        return new_warnings(plan, planned)

    def autoscale(self, name: str, say: Callable[[str], None], looks: int | None = None) -> None:
        """Raise InvalidInput: no supervisor on Ray follows a range."""
        raise InvalidInput(f"--auto: on Ray {name} keeps its processes. Change them: surreal scale {name} actor=N.")

    def delete(self, name: str) -> None:
        """End every process at once, and remove the folder and the supervisor."""
        cluster = self.cluster(start=(home() / "ray" / name).exists())
        supervisor = self._runs.supervisor_or_revived(name)
        cluster.call(supervisor.delete.remote(), STOP_SECONDS)
        cluster.ray.kill(supervisor, no_restart=True)
        forget(name, cluster.location)
        self._runs.forget(name)
        if cluster.own and not [each for each in self.names() if each != name]:
            self.close()
            own_ray.end()
            _say("this was the last run in the Ray that surreal started here: it has ended")

    def close(self) -> None:
        """Leave the cluster."""
        self._runs.close()

    def _taken(self, name: str) -> str:
        """Return the message for a name that is already used, with the possible next commands."""
        return (
            f"metadata.name: an experiment {name!r} exists already ({self.status(name).state}); "
            f"take another name with --set metadata.name=..., go on with it by surreal resume {name}, "
            f"or remove it by surreal delete {name}"
        )


def _say(text: str) -> None:
    """Print a message for the person who waits."""
    print(text, file=sys.stderr)
