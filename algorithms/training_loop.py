"""Training loop of the role that ends a run, the same for every algorithm.

It restores the newest checkpoint, then turns: wait for data, learn, publish, record, save. At the end it waits for the
evaluation of the final weights, saves and ends the run. Asked to stop before that, it saves and says PREEMPTED.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from logging import getLogger
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from surreal.algorithms.models.gpu_kernels import record_kernels
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.recording.policy_record import refuse_another_network
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.recording.reports import Shares
from surreal.algorithms.recording.versions import changed_versions
from surreal.algorithms.types import Array
from surreal.protocol.errors import ExitCode, Fatal, Stopping
from surreal.protocol.profiling.spans import COMMUNICATION, operation
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process

Data = TypeVar("Data")
Waiting = Callable[[str, float], None]
"""Function of what is waited for, such as the names of processes, and the seconds so far."""
log = getLogger(__name__)
SAY_SECONDS = 10.0
"""Time after which a wait is said, and between two times that it is."""
ROW_SECONDS = 1.0
"""Time between two rows of metrics; their numbers cover all updates in between."""


class TrainingState(Protocol):
    """Everything that learning changes, all of it in a checkpoint."""

    steps: int
    """Environment steps learned from."""
    updates: int
    """Updates made: the number of the newest version of the weights."""
    elapsed: float
    """Seconds of training, over all attempts."""

    def done(self) -> bool:
        """Return True if the run has reached its goal."""

    def checkpoint(self) -> Checkpoint:
        """Return everything as it is now."""

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to `checkpoint`."""


class ArrayState:
    """State of an algorithm that learns a few arrays, done after `total_steps`."""

    def __init__(self, arrays: dict[str, Array], total_steps: int) -> None:
        """Learn `arrays`, which are changed in place."""
        self.arrays, self.total_steps = arrays, total_steps
        self.steps = self.updates = 0
        self.elapsed = 0.0

    def done(self) -> bool:
        """Return True if all steps are taken."""
        return self.steps >= self.total_steps

    def checkpoint(self) -> Checkpoint:
        """Return everything as it is now."""
        arrays = {name: array.copy() for name, array in self.arrays.items()}
        return Checkpoint(self.steps, arrays, {"updates": self.updates, "elapsed": self.elapsed})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to `checkpoint`."""
        for name, array in self.arrays.items():
            array[...] = checkpoint.arrays[name]
        self.steps, self.updates = checkpoint.steps, checkpoint.state["updates"]
        self.elapsed = checkpoint.state["elapsed"]


class Trainer(ABC, Generic[Data]):
    """One algorithm's part of the loop."""

    state: TrainingState
    total_steps: int
    """Steps after which the run is done, for its progress."""
    policy: Mapping[str, Any] = {}
    """Description of the policy for its checkpoints, as `policy_record.describe` makes it."""
    exact: bool = False
    """The run was promised to be the same bit for bit: it is not resumed under other versions of what it steps."""

    @property
    def updates(self) -> int:
        """Updates that a row of metrics counts; those of the state, unless a version of the weights has several."""
        return self.state.updates

    def begin(self) -> None:
        """Prepare a run that starts from nothing; a resumed one is restored instead."""

    @abstractmethod
    def collect(self, waiting: Waiting) -> Data:
        """Wait for the data of the next update. Raises Stopping.

        Call `waiting` about every second of a wait: reports of others are read meanwhile, and a long wait is said.
        """

    @abstractmethod
    def learn(self, data: Data) -> Mapping[str, float]:
        """Make one update, which raises `state.steps` and `state.updates`. Return its metrics."""

    @abstractmethod
    def publish(self, version: Version) -> None:
        """Send the present weights as `version`, which are the final ones if `state.done()`."""

    def row(self, recorder: RunRecorder) -> Mapping[str, Any]:
        """Return further values of a row of metrics, such as `episode_return`; called once for each row.

        `recorder` knows what other processes report.
        """
        return {}


class TrainingLoop(Generic[Data]):
    """The loop of one process."""

    def __init__(self, process: Process, trainer: Trainer[Data]) -> None:
        self._process, self._trainer, self._state = process, trainer, trainer.state
        self.recorder = RunRecorder(process)
        self.recorder.policy = trainer.policy
        self._shares = Shares("waiting", "learning", "other")
        self._rows: list[Mapping[str, float]] = []
        self._say_at = SAY_SECONDS

    @property
    def version(self) -> Version:
        """Version of the weights published last: (incarnation of this process, updates)."""
        return (self._process.wiring.incarnation, self._state.updates)

    def run(self) -> ExitCode:
        """Train to the end. Return DONE, or PREEMPTED if this process was asked to stop before."""
        state, recorder = self._state, self.recorder
        record_kernels()
        self._restore()
        try:
            self._trainer.publish(self.version)
            while not state.done():
                self._turn()
            self._report()
            recorder.await_last_evaluation(self.version, state.steps)
        except Stopping:
            log.info("asked to stop at step %d: %s", state.steps, self._process.session.stop_reason)
            self._report()
            if not recorder.save(state.checkpoint(), state.updates):
                log.error("step %d is not saved: a resume goes on from the checkpoint before, if any", state.steps)
            recorder.close()
            return ExitCode.PREEMPTED
        saved = recorder.save_last(state.checkpoint(), state.updates)
        recorder.close("succeeded" if saved else "stopped")
        if not saved:
            return ExitCode.PREEMPTED
        return ExitCode.DONE

    def _restore(self) -> None:
        state, checkpoint = self._state, self.recorder.restore()
        if checkpoint is None:
            self._trainer.begin()
        else:
            self._compare_versions(checkpoint)
            refuse_another_network(checkpoint.policy, self._trainer.policy)
            expected = state.checkpoint()
            try:
                state.restore(checkpoint)
            # numpy raises the first for an array of another size, torch the last, which may be a full GPU too; an
            # array of another name is of another optimizer
            except (ValueError, KeyError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and _same_shapes(checkpoint, expected):
                    raise
                raise _misfit(checkpoint, expected, error) from error
            log.info("resumed from step %d (update %d)", state.steps, self._trainer.updates)
        self._began = perf_counter() - state.elapsed
        self._reported = self._reported_before = (perf_counter(), state.steps)

    def _compare_versions(self, checkpoint: Checkpoint) -> None:
        """Say which versions are not those that the checkpoint was made with. Raises Fatal where bits were promised."""
        changed = ", ".join(changed_versions(checkpoint.policy, self._trainer.policy.get("versions", {})))
        if changed and self._trainer.exact:
            raise Fatal(
                f"deterministic: true, but the versions have changed since the checkpoint: {changed}. Install those."
            )
        if changed:
            log.warning("resuming under other versions than before, results may differ: %s", changed)

    def _turn(self) -> None:
        """Make one update, and all that follows it."""
        state, start = self._state, perf_counter()
        self._say_at = SAY_SECONDS
        with operation("gather", COMMUNICATION):
            data = self._trainer.collect(self._say_waiting)
        collected = perf_counter()
        with operation("learn"):
            self._rows.append(self._trainer.learn(data))
        learned = perf_counter()
        with operation("publish", COMMUNICATION):
            self._trainer.publish(self.version)
        state.elapsed = perf_counter() - self._began
        with operation("record"):
            self.recorder.save_if_due(state.checkpoint, state.updates)
            self.recorder.read_reports(self.version, state.steps)
        self._shares.add("waiting", collected - start)
        self._shares.add("learning", learned - collected)
        self._shares.add("other", perf_counter() - learned)
        self._report_if_due()

    def _say_waiting(self, names: str, seconds: float) -> None:
        """Write down the reports that came meanwhile and, every ten seconds, what is waited for."""
        self.recorder.read_reports(self.version, self._state.steps)
        self._report_if_due()  # updates that were made are told although the next one may be far
        if seconds >= self._say_at:
            self._say_at = seconds + SAY_SECONDS
            log.warning("no update for %.0f s: waiting for %s", seconds, names)
            self.recorder.record_waiting(self._state.steps, names, seconds)

    def _report_if_due(self) -> None:
        if perf_counter() - self._reported[0] > ROW_SECONDS:
            self._report()

    def _report(self) -> None:
        """Write one row: the state of the run, and the means over the updates since the last row."""
        if not self._rows:
            return
        state, now = self._state, perf_counter()
        # The last row may come at once, with what others did while the one before was written.
        at, steps = self._reported if now - self._reported[0] > ROW_SECONDS / 2 else self._reported_before
        seconds = max(now - at, 1e-9)
        self._reported_before, self._reported = self._reported, (now, state.steps)
        row = {
            "total_steps": self._trainer.total_steps,
            "updates": self._trainer.updates,
            "elapsed": state.elapsed,
            "steps_per_second": (state.steps - steps) / seconds,
            "rate_seconds": seconds,
            **self._means(),
            **self._trainer.row(self.recorder),
            **self._shares.read(),
        }
        self.recorder.record(state.steps, row)
        self._rows = []

    def _means(self) -> dict[str, float]:
        """Return the mean of each metric over the updates that have it: not every one steps the actor."""
        names = dict.fromkeys(name for row in self._rows for name in row)
        return {name: float(np.mean([row[name] for row in self._rows if name in row])) for name in names}


def train(process: Process, trainer: Trainer[Any]) -> ExitCode:
    """Train to the end of the run, as the function of the role that ends it. Return its exit code.

    Raises Fatal in a process that does not end the run: of several replicas index 0 alone does.
    """
    if not process.wiring.serves_control:
        name = process.wiring.name
        raise Fatal(f"{name}: calls train(), but index 0 of the role that ends the run decides. Call it there alone.")
    return TrainingLoop(process, trainer).run()


def _same_shapes(checkpoint: Checkpoint, expected: Checkpoint) -> bool:
    """Return True if the arrays that both have are of the same shapes."""
    pairs = [(array, expected.arrays[name]) for name, array in checkpoint.arrays.items() if name in expected.arrays]
    return all(one.shape == other.shape for one, other in pairs)


def _misfit(found: Checkpoint, expected: Checkpoint, error: Exception) -> Fatal:
    """Return the error that names both sizes of what is of other networks than this run has."""
    for name, array in found.arrays.items():
        mine = expected.arrays.get(name)
        if mine is not None and mine.shape != array.shape:
            return Fatal(
                f"checkpoint of step {found.steps}: {name} has the shape {list(array.shape)}, and the networks of this "
                f"run have {list(mine.shape)}. Set the keys of its networks as in the run that it is of."
            )
    text = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return Fatal(f"checkpoint of step {found.steps}: it does not fit this run: {text}. Begin from another one.")
