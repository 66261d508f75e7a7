"""Copies between the supervisor's folder and a node that does not see it: what the learner writes is kept on the head.

Files travel in pieces inside of Ray's calls, never through its object store. A checkpoint is taken once its manifest is
there, so that a learner whose node dies finds it on the next one.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from surreal.orchestrator.backends.ray.actors.files import Copy, Files, send

FIGURES = ("progress.json", "channels.json", "metrics/")
CHECKPOINTS = "checkpoints/"
MANIFEST = "manifest.json"
PULL_SECONDS = 1.0
JOIN_SECONDS = 60.0
MOST_BYTES = 256 * 2**20
"""Bytes of a checkpoint that is still copied; larger ones want spec.storage.url."""

Ask = Callable[..., Any]
"""Calls a method of the host and waits for its answer."""


class Mirror:
    """The copy of one learner's folder."""

    def __init__(self, ask: Ask, folder: Path, checkpoints: bool) -> None:
        """Keep `folder` like that of the host; `checkpoints` only where no store keeps them."""
        self._ask, self._folder, self._checkpoints = ask, folder, checkpoints
        self._copy = Copy(ask, folder)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="surreal-mirror", daemon=True)

    def push(self) -> None:
        """Give the host all that the run has so far."""
        kept = [name for name in Files(str(self._folder)).files("") if name.startswith((CHECKPOINTS, "metrics/"))]
        send(partial(self._ask, "write"), self._folder, kept)

    def start(self) -> None:
        """Give the host what is here, and begin to pull what is new; nothing if that was done before."""
        if not self._thread.is_alive() and not self._closing.is_set():
            self.push()
            self._thread.start()

    def abandon(self) -> None:
        """Stop to pull from a host that is gone."""
        self._closing.set()

    def close(self) -> None:
        """Pull for the last time, while the host still lives."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)

    def pull(self) -> None:
        """Fetch what is new: figures, and checkpoints that are whole."""
        for part in FIGURES:
            self._copy.update(part)
        if self._checkpoints:
            self._pull_checkpoints()

    def _pull_checkpoints(self) -> None:
        there = self._ask("files", CHECKPOINTS)
        whole = {name.rpartition("/")[0] for name in there if name.endswith(f"/{MANIFEST}") and "/." not in name}
        for checkpoint in sorted(whole):
            size = sum(stamp[2] for name, stamp in there.items() if name.startswith(f"{checkpoint}/"))
            if size <= MOST_BYTES and not (self._folder / checkpoint / MANIFEST).exists():
                self._pull_checkpoint(checkpoint)
        for path in sorted((self._folder / CHECKPOINTS).glob("*")):
            if f"{CHECKPOINTS}{path.name}" not in whole and whole:
                _remove(path)

    def _pull_checkpoint(self, checkpoint: str) -> None:
        """Fetch one whole, its manifest last."""
        names = self._ask("files", f"{checkpoint}/")
        for name in sorted(names, key=lambda each: each.endswith(MANIFEST)):
            self._copy.update(name)

    def _keep_up(self) -> None:
        while not self._closing.wait(PULL_SECONDS):
            with suppress(Exception):  # the node may be gone; what is here stays
                self.pull()
        with suppress(Exception):
            self.pull()


def _remove(folder: Path) -> None:
    """Remove a checkpoint that was pruned, its manifest first."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
