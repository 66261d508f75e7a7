"""Evaluating a policy: episodes with the newest weights on a clock of their own; learning never waits for it."""

from collections.abc import Callable
from time import monotonic

import numpy as np

from surreal.algorithms.environments import Env
from surreal.algorithms.types import Array
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.transport.activity import moved
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

Act = Callable[[Array], Array]
"""Observations [1, observation] float32 -> actions [1, ...]."""
SEED = 1_000_003
"""Evaluation episodes are the same ones every time, and none that an actor sees."""


def evaluate_on_clock(
    process: Process, env: Env, load: Callable[[Message], Act], every: float, episodes: int, cap: int | None = None
) -> None:
    """Every `every` seconds, and at once when a message says that it is `final`, evaluate what `load` makes of the
    newest message on `weights`; report on `metrics`, with the arrays of the best. Episodes end after `cap` steps."""
    weights, metrics = process.subscriber("weights"), process.sender("metrics")
    seen: Version | None = None
    best = float("-inf")
    while not process.stopping.is_set():
        due = monotonic() + every
        message = weights.wait(newer_than=seen)
        seen, act = message.version, load(message)
        returns = []
        for episode in range(episodes):
            returns.append(episode_return(env, act, SEED + episode, cap))
            if process.stopping.is_set():
                return
        score, arrays = float(np.mean(returns)), {}
        if score > best:
            best, arrays = score, dict(message.arrays)
        metrics.send(arrays, {**_summary(returns), "version": list(seen), "steps": message.meta["steps"]})
        _rest(process, weights, seen, due)


def episode_return(env: Env, act: Act, seed: int, cap: int | None = None) -> float:
    """The return of one episode that starts from `seed`."""
    observation, _ = env.reset(seed=seed)
    total, steps, over = 0.0, 0, False
    while not over:
        action = act(np.asarray(observation, dtype=np.float32)[None])[0]
        moved()
        observation, reward, terminated, truncated, _ = env.step(action)
        total, steps = total + float(reward), steps + 1
        over = terminated or truncated or steps == cap
    return total


def _summary(returns: list[float]) -> dict[str, float]:
    return {
        "eval_return": float(np.mean(returns)),
        "eval_std": float(np.std(returns)),
        "eval_min": min(returns),
        "eval_max": max(returns),
    }


def _rest(process: Process, weights: Subscriber, seen: Version, due: float) -> None:
    """Until the clock says so, or the final weights came."""
    while monotonic() < due and not process.stopping.wait(0.1):
        message: Message | None = weights.latest()
        if message is not None and message.meta["final"] and message.version > seen:
            return
