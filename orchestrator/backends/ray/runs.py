"""Runs of one Ray cluster as a client finds them: by the names of their supervisors."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from surreal.orchestrator.backends.ray import placement
from surreal.orchestrator.backends.ray.actors.files import Copy, send
from surreal.orchestrator.backends.ray.connection import own_ray
from surreal.orchestrator.backends.ray.connection.cluster import CALL_SECONDS, NAMESPACE, Cluster, connect, first_line
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.location import Location, remembered
from surreal.protocol.errors import InvalidInput, NotFound, Unreachable, did_you_mean
from surreal.protocol.worker.code_archive import unpack

OURS = version("surreal")


class Runs:
    """The runs of the cluster of a location, which is joined when it is needed."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._connected: Cluster | None = None
        self._copies: dict[str, tuple[tempfile.TemporaryDirectory[str], Copy]] = {}

    def cluster(self, start: bool = False) -> Cluster:
        """Return the cluster, connected. `start` starts one here where none is named."""
        if self._connected is None or not self._connected.ray.is_initialized():
            self._connected = connect(self.location, start)
        return self._connected

    def names(self) -> list[str]:
        """Return the runs whose supervisors live, sorted; none where no Ray of ours runs here."""
        try:
            cluster = self.cluster()
        except Unreachable:
            if self.location.address or not own_ray.absent():
                raise
            return []
        found = cluster.ray.util.list_named_actors(all_namespaces=True)
        return sorted(each["name"] for each in found if each["namespace"] == NAMESPACE)

    def supervisor_or_revived(self, name: str) -> Any:
        """Return the actor that supervises a run: a new one for a run of an earlier Ray. Raises NotFound."""
        try:
            return self.supervisor(name)
        except NotFound:
            return self._revived(name)

    def forget(self, name: str) -> None:
        """Remove the copy of a run that is gone."""
        if found := self._copies.pop(name, None):
            found[0].cleanup()

    def close(self) -> None:
        """Leave the cluster, and remove what was copied from it."""
        self.leave()
        for name in list(self._copies):
            self.forget(name)

    def leave(self) -> None:
        """Leave the cluster; the next question joins it anew."""
        if self._connected:
            self._connected.ray.shutdown()
        self._connected = None

    def supervisor(self, name: str) -> Any:
        """Return the actor that supervises a run. Raises NotFound with the nearest name."""
        cluster = self.cluster()
        try:
            return cluster.ray.get_actor(name, namespace=NAMESPACE)
        except ValueError:
            known = self.names()
            there = f"There are: {', '.join(known)}." if known else "There are none."
            if name in remembered():
                there += (
                    f". An earlier Ray there had it: surreal resume {name} goes on in the folder that its head kept"
                )
            raise NotFound(
                f"no experiment {name!r} in the Ray cluster {cluster.location.on}{did_you_mean(name, known)}. {there}"
            ) from None
        except (cluster.ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
            self.leave()
            raise Unreachable(f"{cluster.location.on}: {first_line(error)}. Check its head: ray status") from None

    def _revived(self, name: str) -> Any:
        """Return a new supervisor for the folder that an earlier Ray left on the head. Raises NotFound without one."""
        from surreal.orchestrator.backends.ray.actors.supervisor import Supervisor

        cluster = self.cluster()
        options = placement.supervisor_options(name)
        supervisor = cluster.ray.remote(Supervisor).options(namespace=NAMESPACE, **options).remote(name)
        try:
            cluster.call(supervisor.plan.remote())
        except BaseException:
            cluster.ray.kill(supervisor, no_restart=True)
            raise
        return supervisor

    def ask(self, name: str, method: str, *arguments: Any, seconds: float = CALL_SECONDS) -> Any:
        """Return what the supervisor of a run answers."""
        supervisor = self.supervisor(name)
        try:
            return self.cluster().call(getattr(supervisor, method).remote(*arguments), seconds)
        except Unreachable:
            # a cluster that was started again is another one
            self.leave()
            raise

    def plan(self, name: str) -> Plan:
        """Return the plan of a run."""
        return Plan.from_json(self.ask(name, "plan"))

    @contextmanager
    def documents(self, name: str) -> Iterator[tuple[str, Plan, Path]]:
        """Provide the experiment, the plan, and a folder with the code that a run was created with."""
        text, plan, archive = self.ask(name, "documents")
        with tempfile.TemporaryDirectory(prefix="surreal-") as kept:
            code = Path(kept, "code")
            if archive:
                unpack(archive, code, hashlib.sha256(archive).hexdigest())
            yield text, Plan.from_json(plan), code

    def begin_from(self, supervisor: Any, start: Path) -> None:
        """Send the checkpoint in the folder `start` to a run that was made, and have it begin; else it is removed."""
        call = self.cluster().call
        files = sorted(path.relative_to(start).as_posix() for path in start.rglob("*") if path.is_file())
        try:
            send(lambda name, *part: call(supervisor.write.remote(f"checkpoints/{name}", *part)), start, files)
            call(supervisor.begin.remote())
        except BaseException:
            call(supervisor.delete.remote())
            raise

    def copier(self, name: str, target: Path) -> Copy:
        """Return a copy of the files of a run, empty yet."""
        return Copy(lambda method, *arguments: self.ask(name, method, *arguments), target)

    def copy(self, name: str) -> tuple[Folder, Copy]:
        """Return the copy of a run that repeated looks at its logs share."""
        if name not in self._copies:
            kept = tempfile.TemporaryDirectory(prefix="surreal-")
            self._copies[name] = kept, self.copier(name, Path(kept.name))
        kept, copy = self._copies[name]
        folder = Folder(Path(kept.name))
        folder.logs.mkdir(exist_ok=True)
        return folder, copy

    def require_same_version(self, supervisor: Any) -> None:
        """Raise InvalidInput where the cluster has another surreal, or none."""
        cluster = self.cluster()
        try:
            there = cluster.call(supervisor.version.remote())
        except Exception as error:
            if "surreal" in str(error) and "ModuleNotFoundError" in str(error):
                raise InvalidInput(
                    f"{cluster.location.on}: surreal is not installed on the cluster's nodes. Run pip install "
                    f"'surreal[ray]=={OURS}' in their environment."
                ) from None
            raise
        if there != OURS:
            raise InvalidInput(
                f"{cluster.location.on}: the cluster has surreal {there}, this is {OURS}. Install one of them."
            )
