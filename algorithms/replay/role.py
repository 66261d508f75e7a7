"""Replay role: one shard, a process that takes in fragments and answers with batches."""

from collections.abc import Mapping
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from time import monotonic
from typing import Any

from surreal.algorithms.replay.answers import Answers, Questions
from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.replay.fragment import MisfitError
from surreal.algorithms.replay.rate_limiter import RateLimiter
from surreal.algorithms.replay.snapshots import Snapshots
from surreal.protocol.errors import Stopping
from surreal.protocol.profiling.spans import NUMERIC, operation
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.transport.selector import Selectable
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
TURN_MESSAGES = 4
"""Fragments that are taken in before requests have their turn."""
WAIT_SECONDS = 0.1
REPORT_SECONDS = 5.0
LAST_SNAPSHOT_SECONDS = 8.0
"""Time for the snapshot of a shard that was asked to stop."""


class Shard:
    """State of one shard."""

    def __init__(self, process: Process) -> None:
        """Open the channels, and go on from the newest snapshot."""
        wiring = process.wiring
        self._process = process
        self.settings = ReplaySettings.of(process.config, wiring.replicas[wiring.role])
        self.buffer = ReplayBuffer(self.settings, process.rng, wiring.memory)
        self.limiter = RateLimiter(self.settings)
        self._snapshots = self._open_snapshots(process)
        self._experience = process.receiver("experience")
        self._requests = process.server("sample")
        self._priorities = _receiver(process, "priorities") if self.settings.prioritized else None
        self._answers = Answers(self.buffer, self.limiter, wiring.index, wiring.incarnation)
        self._questions = Questions(self._requests, self._answers)
        self._reported = monotonic()
        self.refused = 0
        """Messages that were no fragments of this run's schema."""

    def turn(self) -> None:
        """Wait for something to do, and do a little of everything that is to do."""
        # a look at each channel costs less than to wait for all of them
        if not (self._update_priorities() + self._take_in() + self._questions.answer()):
            inserts = self.limiter.may_insert
            channels: list[Selectable] = [self._requests, *([self._experience] if inserts else [])]
            channels += [self._priorities] if self._priorities else []
            self._process.wait(channels, WAIT_SECONDS)
        if self._snapshots and self._snapshots.due:
            self._snapshots.take(self.buffer, self._counters())
        if monotonic() - self._reported > REPORT_SECONDS:
            self._report()

    def close(self, over: bool) -> None:
        """Save what is new; remove everything where the run is `over`."""
        if not self._snapshots:
            return
        self._snapshots.close(LAST_SNAPSHOT_SECONDS)
        if over:
            self._snapshots.clear()
        else:
            self._snapshots.take(self.buffer, self._counters())
            self._snapshots.close(LAST_SNAPSHOT_SECONDS)

    def _take_in(self) -> int:
        """Take in the fragments that have arrived, as many as the limiter allows; return their number."""
        for number in range(TURN_MESSAGES):
            message = self._experience.recv(timeout=0) if self.limiter.may_insert else None
            if message is None:
                return number
            self._insert(message)
        return TURN_MESSAGES

    def _insert(self, message: Message) -> None:
        try:
            with operation("insert", NUMERIC):
                steps = self.buffer.insert(message)
        except MisfitError as error:
            self.refused += 1
            text = "refused fragment %d of %s: %s (%d refused so far)"
            if self.refused & (self.refused - 1) == 0:
                log.warning(text, message.seq, message.sender, error, self.refused)
        else:
            self.limiter.inserted(steps, len(self.buffer.senders))

    def _update_priorities(self) -> int:
        """Set the priorities that have come back; return the number of messages."""
        for number in range(TURN_MESSAGES if self._priorities else 0):
            assert self._priorities is not None
            message = self._priorities.recv(timeout=0)
            if message is None:
                return number
            self._answers.update(message)
        return 0

    def _open_snapshots(self, process: Process) -> Snapshots | None:
        """Return the snapshots of this shard, from which it has been filled; None where there is no place for any."""
        wiring, replay = process.wiring, self.settings.replay
        own = Path(replay.snapshot_folder, wiring.experiment, f"{wiring.role}-{wiring.index}")
        folder = own if replay.snapshot_folder else Path(wiring.state_folder)
        if not replay.snapshot_seconds or not (replay.snapshot_folder or wiring.state_folder):
            log.info("no snapshots: a restart of this shard begins empty")
            return None
        snapshots = Snapshots(folder / "replay", replay.snapshot_seconds, wiring.env.get("id", ""))
        counters = snapshots.restore(self.buffer)
        self.limiter.restore(self.buffer.steps, counters.get("samples", 0), counters.get("ahead"))
        return snapshots

    def _counters(self) -> Mapping[str, Any]:
        return {"samples": self.limiter.samples, "ahead": self.limiter.ahead}

    def _report(self) -> None:
        """Report counts, and the shares of time in which the limiter held up either side."""
        self._reported = monotonic()
        answers, limiter, buffer = self._answers, self.limiter, self.buffer
        row = {
            "replay_items": buffer.items,
            "replay_steps": buffer.steps,
            "replay_samples": limiter.samples,
            "inserts_blocked_share": limiter.waits["inserts"].read(),
            "samples_blocked_share": limiter.waits["samples"].read(),
            "doubles": buffer.doubles,
            "refused_fragments": self.refused,
            "refused_priorities": answers.refused,
            "priority_highest": buffer.sampler.highest,
        }
        if self._snapshots:
            row |= {"snapshot_seconds": self._snapshots.took, "snapshot_failures": self._snapshots.disk.errors}
        self._process.report(row)


def _receiver(process: Process, name: str) -> StreamReceiver | None:
    """Return the receiving end of a stream that an algorithm may leave out."""
    return process.receiver(name) if name in process.wiring.channels else None


def replay(process: Process) -> None:
    """Serve one shard until told to stop."""
    shard = Shard(process)
    with suppress(Stopping):
        while not process.should_stop:
            shard.turn()
    shard.close(over=not process.session.preempted)
