"""The worker: rolls out perturbed policies, as many at a time as it has environments; results out, weights in."""

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from logging import getLogger
from time import perf_counter

import numpy as np

from surreal.algorithms.datasets.writing.actors import recording_of
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.chunks import Task, open_chunks, others_chunks, own_chunks
from surreal.algorithms.es.config import read_config
from surreal.algorithms.es.noise import NoiseTable
from surreal.algorithms.es.rollout import Episode, Population, task_of
from surreal.algorithms.es.weights import Weights
from surreal.algorithms.recording.reports import Shares
from surreal.protocol.errors import ExitCode, Fatal
from surreal.protocol.profiling.spans import COMMUNICATION, NUMERIC, SIMULATOR, Operation, operation
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
REPORT_EVERY, REPORT_EACH = 5.0, 0.1
"""Seconds between two reports of time shares: of one worker at least, of all of them together about."""
TURNS = 64
"""Turns between two looks at whether this process should stop: some milliseconds."""
FRESH = 0.1
"""A chunk of which less than this share was done when new weights came is given up for one of theirs."""


class Worker:
    """The state of one worker process."""

    def __init__(self, process: Process) -> None:
        self._wiring = wiring = process.wiring
        self._stopping, self._session = process.stopping.is_set, process.session
        self._config = read_config(wiring.config)
        self._channel, self._results = process.subscriber("weights"), process.sender("results")
        self._metrics = process.sender("metrics")
        env = wiring.env
        around = recording_of(wiring)
        envs = [make_env(env, wiring.code, around=around) for _ in range(int(env["copies"]))]
        layout = Layout.of(self._config, envs[0].spaces)
        self._noise = NoiseTable(wiring.seed, layout.size)
        self._observation = layout.spaces.observation
        self.population = Population(
            envs, layout, self._config.normalize_observations == "running", env.get("stepping", "auto")
        )
        self._weights: Weights | None = None
        self._own: Iterator[int] = iter(())
        self._others: Iterator[int] = iter(())
        self._known: dict[tuple[int, int], Weights] = {}
        self._tasks: set[Task] = set()
        self._waiting: deque[Episode] = deque()
        self._usual, self._lost, self._stepped = 0.0, 0, 0
        self._shares, self._reported = Shares("waiting", "acting", "environment", "sending"), perf_counter()

    def turn(self) -> None:
        """Take one step of all environments, with the newest weights for the episodes that begin."""
        newest = self._channel.latest()
        if newest is not None and (self._weights is None or newest.version != self._weights.version):
            self._adopt(Weights.read(newest))
        self._fill()
        if not self.population.busy:
            self._wait()
            return
        start, inside = perf_counter(), self.population.environment_seconds
        ended = self.population.step()
        spent = self.population.environment_seconds - inside
        self._shares.add("environment", spent)
        self._shares.add("acting", perf_counter() - start - spent)
        for task in ended:
            if not task.left and task in self._tasks:
                self._send(task)
        self._report()

    def turns(self, span: Operation) -> None:
        """Take some turns: as many as cost little to tell apart from others."""
        population = self.population
        inside, acting, steps = population.environment_seconds, population.acting_seconds, population.steps
        for _ in range(TURNS):
            if self._stopping():
                break
            self.turn()
        taken = population.steps - steps
        span.spent("simulation", SIMULATOR, population.environment_seconds - inside, taken)
        span.spent("inference", NUMERIC, population.acting_seconds - acting, taken)

    def _wait(self) -> None:
        """Wait for the next generation: there is nothing to do before it."""
        start = perf_counter()
        self._channel.wait(None if self._weights is None else self._weights.version)
        self._shares.add("waiting", perf_counter() - start)

    def _adopt(self, weights: Weights) -> None:
        """Evaluate around `weights` from now on; give up what would be refused, and what has hardly begun."""
        orders, wiring = weights.orders, self._wiring
        if orders.noise != self._noise.checksum:
            raise Fatal(
                f"{wiring.name}: its noise differs from the master's. Install the same numpy on the same kind of CPU."
            )
        self._weights = weights
        self._known[weights.version] = weights
        workers = max(1, wiring.replicas.get("worker", 1))
        if orders.fixed:
            self._own = own_chunks(wiring.index, workers, orders.chunks)
            self._others = others_chunks(wiring.index, workers, orders.chunks)
        else:
            self._own, self._others = open_chunks(wiring.index, wiring.start), iter(())
        self._abandon({task for task in self._tasks if self._useless(task, weights)})
        needed = {task.version for task in self._tasks} | {weights.version}
        self._known = {version: known for version, known in self._known.items() if version in needed}

    def _useless(self, task: Task, weights: Weights) -> bool:
        if task.version[0] != weights.version[0]:
            return True
        late = weights.generation - task.version[1] > weights.orders.max_staleness
        return late or self._taken(task) < FRESH * self._usual

    def _taken(self, task: Task) -> int:
        """Steps that went into `task` so far."""
        return int(task.steps.sum()) + self.population.steps_under_way(task)

    def _abandon(self, tasks: set[Task]) -> None:
        self._lost += sum(int(task.steps.sum()) for task in tasks) + self.population.abandon(tasks)
        self._waiting = deque(episode for episode in self._waiting if episode.task not in tasks)
        self._tasks -= tasks

    def _fill(self) -> None:
        """Begin an episode in each free slot, where there is one."""
        for slot in self.population.free:
            if not self._waiting and not self._take_chunk():
                return
            episode = self._waiting.popleft()
            around = self._known[episode.task.version]
            step = np.float32(around.orders.sigma if episode.side == 0 else -around.orders.sigma)
            perturbed = around.parameters + step * self._noise.at(int(episode.task.offsets[episode.row]))
            self.population.begin(slot, episode, perturbed, around.standardize)

    def _take_chunk(self) -> bool:
        """Queue the next chunk's episodes: of this worker's share, or with nothing else to do of another's."""
        if self._weights is None or self._weights.final:
            return False
        rest = self._others if not self.population.busy else iter(())
        chunk = next(chain(self._own, rest), None)
        if chunk is None:
            return False
        task = self._task(self._weights, chunk)
        self._tasks.add(task)
        cap = self._weights.orders.cap
        self._waiting.extend(Episode(task, row, side, cap) for row in range(len(task.pairs)) for side in (0, 1))
        return True

    def _task(self, weights: Weights, chunk: int) -> Task:
        orders, end = weights.orders, (chunk + 1) * weights.orders.chunk
        pairs = np.arange(chunk * orders.chunk, min(end, orders.pairs) if orders.fixed else end)
        return task_of(weights.version, chunk, pairs, self._noise, self._config, self._observation)

    def _send(self, task: Task) -> None:
        start, taken = perf_counter(), float(task.steps.sum())
        self._tasks.discard(task)
        self._usual = 0.9 * self._usual + 0.1 * taken if self._usual else taken
        arrays = {"returns": task.returns, "steps": task.steps}
        if task.sums[-1]:
            arrays["sums"] = task.sums
        with operation("send", COMMUNICATION):
            self._results.send(arrays, {"chunk": task.chunk}, task.version)
        self._session.sent()
        self._shares.add("sending", perf_counter() - start)

    def _report(self) -> None:
        """Report every few seconds where the time went."""
        every = max(REPORT_EVERY, REPORT_EACH * self._wiring.replicas.get("worker", 1))
        if perf_counter() - self._reported < every:
            return
        stepped = max(self.population.steps - self._stepped, 1)
        self._metrics.send({}, {**self._shares.read(), "share_abandoned": self._lost / stepped})
        self._stepped, self._lost, self._reported = self.population.steps, 0, perf_counter()


def worker(process: Process) -> ExitCode | None:
    """Evaluate until told to stop."""
    state = Worker(process)
    with closing(state.population):
        while not process.stopping.is_set():
            with operation("acting") as span:
                state.turns(span)
    return None
