"""The metrics of a run in a cluster as a folder on this machine that keeps up: what TensorBoard reads."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surreal.orchestrator.backends.kube.run_folder.folder import RunFolder
from surreal.orchestrator.backends.kube.run_folder.locate import LAYOUT, folder_of, writer
from surreal.orchestrator.backends.kube.status.collect import snapshot
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api

METRICS = f"{LAYOUT.metrics.name}/"
SECONDS = 5.0
"""Seconds between two looks for new rows."""


@contextmanager
def metrics_folder(api: Api, name: str) -> Iterator[Path]:
    """Provide a folder with the run's metrics, brought up to date every few seconds while the run goes on.

    Raises SurrealError where they cannot be read now; later it only waits for the next pod.
    """
    with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
        mirror = _Mirror(api, name, Path(folder))
        closing = threading.Event()
        goes_on = mirror.update()
        thread = threading.Thread(target=_keep_up, args=(mirror, closing), daemon=True)
        if goes_on:
            thread.start()
        try:
            yield Path(folder) / METRICS
        finally:
            closing.set()
            if goes_on:
                thread.join()
            mirror.close()


def _keep_up(mirror: "_Mirror", closing: threading.Event) -> None:
    while not closing.wait(SECONDS):
        try:
            if not mirror.update():
                return
        except SurrealError:
            mirror.close()  # the pod is being replaced, or the cluster does not answer: look again


class _Mirror:
    """The metrics of one run, copied to a folder."""

    def __init__(self, api: Api, name: str, local: Path) -> None:
        self._api, self._name, self._local = api, name, local
        self._folder: RunFolder | None = None
        self._grows = False

    def update(self) -> bool:
        """Fetch what is new; False once nothing more will come."""
        if not self._folder:
            seen = snapshot(self._api, self._name)
            self._grows = writer(seen) is not None
            self._folder = folder_of(self._api, seen)
        self._folder.mirror(self._local, METRICS)
        if not self._grows:
            self.close()
        return self._grows

    def close(self) -> None:
        """Let go of the pod."""
        if self._folder:
            self._folder.close()
        self._folder = None
