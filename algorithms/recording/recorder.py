"""Recorder of a run: metrics, reports of others, checkpoints, progress, the best policy and the last evaluation.

It belongs to the process of the role that ends the run. Nothing that a disk does ends the training.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from logging import getLogger
from pathlib import Path
from time import monotonic
from typing import Any

from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.recording.disk import Disk, replace_file
from surreal.algorithms.recording.metrics import Metrics
from surreal.algorithms.recording.refused import Refused
from surreal.algorithms.recording.reports import Reports
from surreal.algorithms.recording.tracking import Tracking
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import operation
from surreal.protocol.telemetry.gauges import CHECKPOINT, PROGRESS_KEYS
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
CHECKPOINT_UPDATES = 1000
"""Updates after which a checkpoint is due even if its clock says otherwise."""
LAST_EVALUATION_SECONDS = 60.0
"""Longest wait at the end of a run for the evaluation of its final weights."""
START_SECONDS = 60.0
"""Age of a run below which its end waits for an evaluator that has not joined it yet."""
REPORTS_SECONDS = 10.0
"""Time between two rows of a role whose processes report."""
PROGRESS_SECONDS = 1.0
"""Time between two writes of progress.json."""
RETRY_SECONDS = 10.0
"""Time between two tries of a checkpoint that the disk did not take."""
PROGRESS_FILE = "progress.json"


class RunRecorder:
    """Files of the run, and the stream `metrics` that feeds them."""

    def __init__(self, process: Process) -> None:
        wiring = process.wiring
        self._folder = Path(wiring.run_folder)
        self._process, self._channel = process, process.receiver("metrics") if _has_reports(process) else None
        self.disk = Disk()
        self.policy: Mapping[str, Any] = {}
        """Description of the policy, which goes into every checkpoint: see `policy_record.describe`."""
        self._checkpoints = Checkpoints(self._folder / "checkpoints", int(wiring.checkpoints["keep"]))
        self._every = float(wiring.checkpoints["everySeconds"])
        self._metrics = Metrics(self._folder, process.session.gauges, wiring.incarnation, self.disk)
        self._tracking = Tracking(wiring)
        self._reports, self._reported_at = Reports(), monotonic()
        self._refused = Refused(self._folder)
        self._evaluators, self._joined = set(wiring.evaluators), False
        self._evaluated: Version | None = None
        self._since = monotonic()
        self._best: tuple[int, float, dict[str, Array]] | None = None
        self._saved_at = monotonic()
        self._saved_update: int | None = None
        self._resumed_at = 0
        self._progress: dict[str, Any] = {}
        self._progress_at = 0.0
        self.malformed = 0
        """Reports that were left out: of strangers, or with values that no report has."""

    def restore(self) -> Checkpoint | None:
        """Return the checkpoint to go on from, if there is one, and begin this attempt's curves at its step.

        Raises Fatal if there are checkpoints and none is intact.
        """
        self.disk.attempt("checkpoints", self._checkpoints.clear_unfinished)
        checkpoint = self._checkpoints.newest()
        self._resumed_at = checkpoint.steps if checkpoint else 0
        self._metrics.begin(self._resumed_at)
        return checkpoint

    def save_if_due(self, make: Callable[[], Checkpoint], updates: int) -> None:
        """Save the checkpoint that `make` returns if its clock, or the number of `updates` since the last, says so."""
        if self._saved_update is None:
            # Updates before the first call are on disk already.
            self._saved_update = updates
        if updates - self._saved_update >= CHECKPOINT_UPDATES or monotonic() - self._saved_at > self._every:
            self.save(make(), updates)

    def save(self, checkpoint: Checkpoint, updates: int) -> bool:
        """Save a checkpoint after `updates` updates. Return False, having said so, if the disk does not take it."""
        whole, self._saved_at = replace(checkpoint, policy=dict(self.policy)), monotonic()
        with operation("checkpoint"):
            saved = self.disk.attempt(CHECKPOINT, lambda: self._checkpoints.save(whole), every=0.0)
        if saved:
            self._saved_update = updates
        else:
            # The next one is due sooner than the clock says.
            self._saved_at -= max(0.0, self._every - RETRY_SECONDS)
            self._saved_update = updates - CHECKPOINT_UPDATES // 2
        return saved

    def save_last(self, checkpoint: Checkpoint, updates: int) -> bool:
        """Save the final checkpoint, trying until the disk has room or this process is asked to stop."""
        while not self.save(checkpoint, updates):
            if self._process.stopping.wait(1.0):
                return False
        return True

    def record(self, steps: int, row: Mapping[str, Any]) -> None:
        """Write a row of this process's own metrics at `steps`, and the progress of the run."""
        row = {
            **row,
            "disk_errors": self.disk.errors,
            "malformed_reports": self.malformed,
            "refused_fragments": self._refused.total,
        }
        self._metrics.write(self._process.wiring.name, steps, row)
        newest = {"at": time.time(), "steps": steps, **{key: row[key] for key in PROGRESS_KEYS if key in row}}
        kept = {key: value for key, value in self._progress.items() if key == "eval_return"}
        self._progress = {**kept, **newest}
        self._write_progress()

    def record_waiting(self, steps: int, names: str, seconds: float) -> None:
        """Write a row that names the processes that are waited for; the time of the last progress stays."""
        row = {"waiting_for": names, "waiting_seconds": seconds}
        self._metrics.write(self._process.wiring.name, steps, row)
        self._progress.update(row)
        self._write_progress()

    def read_reports(self, version: Version, steps: int) -> bool:
        """Write down the reports of others, at `steps` unless they name theirs, and keep the best evaluated policy.

        Return True if the weights of `version` were evaluated.
        """
        evaluated = False
        while self._channel is not None and (message := self._channel.recv(timeout=0)) is not None:
            evaluated |= self._take(message, version, steps)
        if monotonic() - self._reported_at > REPORTS_SECONDS:
            self._reported_at = monotonic()
            self._write_reports(steps)
        self._keep_best()
        return evaluated

    def _write_reports(self, steps: int) -> None:
        for role, row in self._reports.by_role().items():
            self._metrics.write(role, steps, row)

    def mean_of(self, name: str) -> float | None:
        """Return the mean of `name` over the newest reports of all processes; None if none has it."""
        return self._reports.mean_of(name)

    def await_last_evaluation(self, version: Version, steps: int) -> None:
        """Wait up to a minute for the evaluation of the final weights, of `version`, while an evaluator lives."""
        deadline = monotonic() + LAST_EVALUATION_SECONDS
        # A short evaluation may have come in before this was called, with the reports of the last update.
        while not self.read_reports(version, steps) and self._evaluated != version:
            if monotonic() > deadline or not self._evaluator_expected() or self._process.stopping.wait(0.05):
                return

    def _evaluator_expected(self) -> bool:
        """Return True while an evaluator lives, or the run is over before its evaluator has imported what it needs."""
        lives = any(self._process.session.alive(role) for role in self._evaluators)
        self._joined = self._joined or lives
        return lives or (bool(self._evaluators) and not self._joined and monotonic() - self._since < START_SECONDS)

    def close(self, outcome: str = "stopped") -> None:
        """Write what still can be written, and close the files; `outcome` is `succeeded` at the end of a run."""
        self._progress_at = 0.0
        self._write_reports(self._progress.get("steps", self._resumed_at))
        self._progress["refused_fragments"] = self._refused.total
        self._write_progress()
        self._metrics.close()
        self._tracking.close(outcome)

    def _take(self, message: Message, version: Version, steps: int) -> bool:
        """Take in one report. Return True if it is the evaluation of `version`."""
        row, sender = dict(message.meta), message.sender
        at, of = row.pop("steps", steps), row.pop("version", None)
        if not self._process.wiring.has(sender) or type(at) is not int or not 0 <= at < 2**63:
            self.malformed += 1
            return False
        if "eval_return" in row:
            self._evaluators.add(sender.partition("/")[0])
        else:
            self._reports.add(sender, row)
            self._refused.add(sender, message.incarnation, row.get("refused_fragments"))
            self._process.session.gauges.set(sender, row)
            return False
        score = row["eval_return"]
        if not isinstance(score, int | float):
            self.malformed += 1
            return False
        if message.arrays and score == score and (self._best is None or score > self._best[1]):
            self._best = at, float(score), dict(message.arrays)
        # Weights of an earlier attempt, beyond the step from which this one went on, are on no curve.
        if at <= self._resumed_at or not _is_earlier(of, version):
            self._metrics.write(sender, at, row)
            self._progress["eval_return"] = score
        if of == list(version):
            self._evaluated = version
        return bool(of == list(version))

    def _keep_best(self) -> None:
        """Save the best policy that was evaluated, if it is not on disk yet."""
        if self._best is not None:
            best = self._best
            if self.disk.attempt("the best policy", lambda: self._checkpoints.save_best(*best, self.policy)):
                self._best = None

    def _used(self) -> dict[str, float]:
        """Return the hours and the dollars of the run so far, as far as this process knows them."""
        gauges, name = self._process.session.gauges, self._process.wiring.name
        return {key: value for key in ("hours", "cost") if (value := gauges.of(name, key)) is not None}

    def _write_progress(self) -> None:
        if monotonic() - self._progress_at < PROGRESS_SECONDS or "at" not in self._progress:
            return
        self._progress_at = monotonic()
        self.disk.attempt("refused fragments", self._refused.write)
        known = {**self._progress, **self._used()}
        if self.disk.trouble:
            known["trouble"] = self.disk.trouble
        finite = {key: None if value != value else value for key, value in known.items()}
        text = json.dumps(finite)
        self.disk.attempt(PROGRESS_FILE, lambda: replace_file(self._folder / PROGRESS_FILE, text))


def _has_reports(process: Process) -> bool:
    """Return True if the graph has the stream `metrics` to this role."""
    channel = process.wiring.channels.get("metrics")
    return channel is not None and process.wiring.role in channel.to


def _is_earlier(of: Any, version: Version) -> bool:
    """Return True if `of` is a version of an earlier incarnation than `version`."""
    return isinstance(of, list) and len(of) == 2 and type(of[0]) is int and of[0] < version[0]
