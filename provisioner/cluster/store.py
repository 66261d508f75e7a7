"""The clusters made from here: a private folder each, with the cluster file, the rendered files and the state."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from surreal.protocol.errors import InvalidInput, NotFound, SurrealError, did_you_mean
from surreal.provisioner.cluster.load import load_cluster
from surreal.provisioner.spec.cluster import Cluster

Phase = Literal["planned", "going up", "up", "going down"]
OBJECTS = "objects.json"
"""The Kubernetes objects that the cluster gets once it is there."""
_IDENTITY = ("provider", "project", "region", "zones", "state")
"""Keys that cannot change while the cluster exists: Terraform would look for it elsewhere."""


@dataclass(frozen=True)
class ClusterFolder:
    """The folder of one cluster; every path in it is named here and nowhere else."""

    path: Path

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.path.name

    @property
    def _file(self) -> Path:
        return self.path / "cluster.yaml"

    @property
    def _phase(self) -> Path:
        return self.path / "phase"

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    def cluster(self) -> Cluster:
        """Return the cluster as it was last planned or made."""
        return load_cluster(self._file)

    def phase(self) -> Phase:
        """Return how far it got: one that is `going` anywhere was interrupted, if no command is at it now."""
        phase: Phase = self._phase.read_text().strip()  # type: ignore[assignment]
        return phase

    def enter(self, phase: Phase) -> None:
        """Record how far it is, before it goes there."""
        _replace(self._phase, phase + "\n")

    def write(self, cluster: Cluster, files: dict[str, str]) -> None:
        """Record the cluster file and replace the rendered files; the engine's own files stay.

        Raises InvalidInput when another cluster of the name is there.
        """
        if self._file.exists() and self.phase() != "planned":
            _same(self.cluster(), cluster)
        if not self._phase.exists():
            self.enter("planned")
        for stale in {*self.path.glob("*.tf.json"), *self.path.glob(OBJECTS)}:
            stale.unlink()
        for name, contents in files.items():
            _replace(self.path / name, contents)
        # last: a cluster is listed from here on
        _replace(self._file, cluster.to_yaml())

    def remove(self) -> None:
        """Forget the cluster: it is gone."""
        shutil.rmtree(self.path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep all others from changing this cluster meanwhile. Raises SurrealError if another command does so now."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SurrealError(
                    f"cluster {self.name!r}: another command is at work on it. Wait for its end."
                ) from None
            yield
        finally:
            os.close(descriptor)


def cluster_folder(home: Path, name: str) -> ClusterFolder:
    """Return the folder of cluster `name`, made private when missing. Raises InvalidInput when it cannot be."""
    folder = home / "clusters" / name
    try:
        for path in (home, folder.parent, folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"SURREAL_HOME: cannot use {folder}: {error.strerror}. Set it to a folder of yours that can be written."
        ) from error
    return ClusterFolder(folder)


def names(home: Path) -> list[str]:
    """Return the clusters there are, in order of name."""
    folder = home / "clusters"
    return sorted(path.parent.name for path in folder.glob("*/cluster.yaml")) if folder.is_dir() else []


def find(home: Path, name: str) -> ClusterFolder:
    """Return the folder of a cluster that was made from here. Raises NotFound with the nearest name."""
    known = names(home)
    if name not in known:
        listing = f"There are: {', '.join(known)}." if known else "There are none yet: surreal cluster up cluster.yaml"
        raise NotFound(f"no cluster {name!r}{did_you_mean(name, known)}. {listing}")
    return ClusterFolder(home / "clusters" / name)


def _same(there: Cluster, wanted: Cluster) -> None:
    for key in _IDENTITY:
        old, new = getattr(there.spec, key), getattr(wanted.spec, key)
        if old != new:
            where = wanted.source.locate(("spec", key))
            raise InvalidInput(
                f"{where}: the cluster {wanted.name!r} that is there has another {key} "
                f"({_words(old)}). Give this one another name, or first: surreal cluster down {wanted.name}"
            )


def _words(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) and value else str(value or "none")


def _replace(path: Path, contents: str) -> None:
    """Write a file so that a reader, and a crash at any moment, sees the old or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(contents)
    os.replace(temporary, path)
