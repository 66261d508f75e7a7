"""What a process that ends a run keeps: metrics, what others report, checkpoints on a clock, the last evaluation."""

from collections.abc import Callable
from logging import getLogger
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from surreal.algorithms.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.metrics import Metrics
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
CHECKPOINT_UPDATES = 1000
"""Updates after which a checkpoint is due even if its clock says otherwise."""
LAST_EVALUATION = 60.0
"""Seconds that the end of a run waits for the evaluation of its final weights."""


class Bookkeeping:
    """The run's files, and the stream `metrics` that feeds them."""

    def __init__(self, process: Process) -> None:
        wiring = process.wiring
        folder = Path(wiring.run_folder)
        self._process, self._reports = process, process.receiver("metrics")
        self._checkpoints = Checkpoints(folder / "checkpoints", int(wiring.checkpoints["keep"]))
        self._every = float(wiring.checkpoints["everySeconds"])
        self.metrics = Metrics(folder, process.gauges)
        self._saved_at = monotonic()
        self._saved_update: int | None = None
        self._newest: dict[str, dict[str, Any]] = {}

    def newest(self) -> Checkpoint | None:
        """The checkpoint to go on from, if there is one. Raises Fatal where none is intact."""
        return self._checkpoints.newest()

    def save_if_due(self, make: Callable[[], Checkpoint], updates: int) -> None:
        """Save what `make` returns once its clock, or the number of `updates` since the last one, says so."""
        if self._saved_update is None:  # those before the first look are on disk already, or were never
            self._saved_update = updates
        if updates - self._saved_update >= CHECKPOINT_UPDATES or monotonic() - self._saved_at > self._every:
            self.save(make(), updates)

    def save(self, checkpoint: Checkpoint, updates: int) -> None:
        """A failed checkpoint is said, loudly, and never ends the training."""
        self._saved_at = monotonic()
        try:
            self._checkpoints.save(checkpoint)
        except OSError as error:
            log.error("checkpoint at step %d failed: %s; training goes on", checkpoint.steps, error)
        else:
            self._saved_update = updates

    def read_reports(self, version: Version, steps: int) -> bool:
        """Write down what others reported, at `steps` unless they say when; keep the best policy that was evaluated.

        True where the weights of `version` were evaluated.
        """
        evaluated = False
        while (message := self._reports.recv(timeout=0)) is not None:
            row = dict(message.meta)
            at, of = int(row.pop("steps", steps)), row.pop("version", None)
            if "eval_return" in row:
                evaluated = evaluated or of == list(version)
                if message.arrays:
                    self._checkpoints.save_best(at, row["eval_return"], message.arrays)
            self._newest[message.sender] = row
            self.metrics.write(message.sender, at, row)
        return evaluated

    def mean_of(self, name: str) -> float | None:
        """The mean of `name` over everybody's newest report; None where nobody reported it."""
        values = [row[name] for row in self._newest.values() if name in row]
        return float(np.mean(values)) if values else None

    def await_last_evaluation(self, version: Version, steps: int) -> None:
        """Wait up to a minute for the evaluation of the final weights, of `version`, while an evaluator lives."""
        deadline = monotonic() + LAST_EVALUATION
        while not self.read_reports(version, steps):
            if monotonic() > deadline or not self._process.alive("evaluator") or self._process.stopping.wait(0.05):
                return

    def close(self) -> None:
        """Flush and close the files."""
        self.metrics.close()
