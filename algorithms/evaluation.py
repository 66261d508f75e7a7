"""Evaluating a policy: episodes with the newest weights on a clock of their own; learning never waits for it."""

from collections.abc import Callable
from logging import getLogger
from math import isfinite
from time import monotonic
from typing import Any

import numpy as np

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.rows import Rows, finite, mapped
from surreal.algorithms.types import Array
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.profiling.spans import NUMERIC, SIMULATOR, operation
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

Act = Callable[[Any], Array]
"""Observations [1, ...] as the environment's view has them -> outputs of the policy [1, ...], without noise."""
SEED = 1_000_003
"""Evaluation episodes are the same ones every time, and none that an actor sees."""
EPISODE_CAP = 10_000
"""Steps of an episode of an environment that sets no limit itself."""
log = getLogger(__name__)


class Remembering:
    """An Act with memory: a function of observations and state, which is None at the start of an episode."""

    def __init__(
        self, act: Callable[[Rows, Any], tuple[Array, Any]], noted: Callable[[Any, Array, Array], None] | None = None
    ) -> None:
        """Remember what `act` returns; `noted` writes outputs [1, ...] and reward [1] of a step into the state."""
        self._act, self._noted, self._state = act, noted, None
        self._outputs: Array = np.empty(0)

    def begin(self) -> None:
        """Forget the last episode."""
        self._state = None

    def __call__(self, rows: Rows) -> Array:
        """Return outputs, and remember."""
        self._outputs, self._state = self._act(rows, self._state)
        return self._outputs

    def rewarded(self, reward: float) -> None:
        """Take in the reward of the last step."""
        if self._noted is not None:
            self._noted(self._state, self._outputs, np.array([reward], dtype=np.float32))


def evaluate_on_clock(
    process: Process,
    env: Environment,
    load: Callable[[Message], Act],
    every: float,
    episodes: int,
    cap: int | None = None,
) -> None:
    """Evaluate the newest policy every `every` seconds, and at once when a message says that it is `final`.

    `load` makes a policy of a message on `weights`; reports go to `metrics`, with the arrays of the best. Episodes end
    after `cap` steps, by default after the environment's own limit.
    """
    weights, metrics = process.subscriber("weights"), process.sender("metrics")
    stopping, cap = process.stopping.is_set, cap or max(env.time_limit or 0, EPISODE_CAP)
    seen: Version | None = None
    best, patient = float("-inf"), True
    while not stopping():
        began = monotonic()
        message = weights.wait(newer_than=seen)
        seen, act, waited = message.version, load(message), monotonic()
        returns = []
        for episode in range(episodes):
            total = episode_return(env, act, SEED + episode, cap, stopping)
            if total is None:
                return
            returns.append(total)
        if patient and monotonic() - waited > every:
            patient = False
            _advise(monotonic() - waited, every, episodes, cap)
        score = float(np.mean(returns))
        arrays = dict(message.arrays) if score > best else {}
        report = {**_summary(returns), "version": list(seen), "steps": message.meta["steps"]}
        # The stream is lossy: a policy that it dropped was not the best that the run keeps.
        if metrics.send(arrays, report) and arrays:
            best = score
        _rest(process, weights, seen, began + every)


def episode_return(
    env: Environment, act: Act, seed: int, cap: int, stopping: Callable[[], bool] = lambda: False
) -> float | None:
    """Return the return of one episode from `seed`, of `cap` steps at most; None once `stopping` is true.

    The policy acts as in an actor: through the same action map, on observations of the same types. What the environment
    allows it to choose is `env.mask`.
    """
    rewarded = None
    if isinstance(act, Remembering):
        act.begin()
        rewarded = act.rewarded
    played = play(env, lambda rows: env.actions(act(rows))[0], seed, cap, stopping, rewarded)
    return played[0] if played else None


def play(
    env: Environment,
    choose: Callable[[Rows], Any],
    seed: int,
    cap: int,
    stopping: Callable[[], bool] = lambda: False,
    rewarded: Callable[[float], None] | None = None,
) -> tuple[float, int] | None:
    """Return (return, steps) of one episode from `seed`, of `cap` steps at most; None once `stopping` is true.

    `choose` maps observations [1, ...] to the one action that the environment takes; `rewarded` gets each reward as
    training has it. The return is NaN, and it is logged, where an observation or a reward was NaN or infinite.
    """
    rows = mapped(lambda array: np.array(array[None]), env.reset(seed))
    total, steps, over = 0.0, 0, False
    with operation("evaluate") as span, np.errstate(over="ignore", invalid="ignore"):
        choose, step = span.pieces("inference", NUMERIC, choose), span.pieces("simulation", SIMULATOR, env.step)
        while not over and steps < cap:
            reward, terminated, truncated = step(choose(rows), rows, 0)
            total, steps, over = total + reward, steps + 1, terminated or truncated
            if not (isfinite(total) and finite(rows)):
                log.warning(
                    "environment %r: NaN or infinity at step %d of an evaluation: it has no return", env.name, steps
                )
                return float("nan"), steps
            if rewarded is not None:
                rewarded(env.reward_in_training(float(reward)))
            if stopping() and not over:
                return None
    return float(total), steps


def _advise(took: float, every: float, episodes: int, cap: int) -> None:
    text = (
        "one evaluation took %.0f s, longer than evaluate_every_seconds: %g. "
        "Lower evaluate_episodes (%d) or cut episodes sooner than after %s steps."
    )
    log.warning(text, took, every, episodes, f"{cap:,}")


def _summary(returns: list[float]) -> dict[str, float]:
    return {
        "eval_return": float(np.mean(returns)),
        "eval_std": float(np.std(returns)),
        "eval_min": min(returns),
        "eval_max": max(returns),
    }


def _rest(process: Process, weights: Subscriber, seen: Version, due: float) -> None:
    """Wait until the clock says so, or the final weights came."""
    while monotonic() < due and not process.stopping.wait(0.1):
        message: Message | None = weights.latest()
        if message is not None and message.meta["final"] and message.version > seen:
            return
