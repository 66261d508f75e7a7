"""The evaluator: deterministic episodes with the newest weights, on its own clock; learning never waits for it."""

from time import monotonic

import numpy as np

from surreal.algorithms.environments import Env, make_env, spaces_of
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.weights import apply
from surreal.protocol.broadcast import Subscriber
from surreal.protocol.message import Message, Version
from surreal.protocol.process import Process

SEED = 1_000_003
"""Evaluation episodes are the same ones every time, and none that an actor sees."""


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the learner says that these are the last weights."""
    wiring = process.wiring
    config = PPOConfig(**wiring.config)
    weights, metrics = process.subscriber("weights"), process.sender("metrics")
    env = make_env(wiring.env["id"], wiring.env["options"])
    policy = Policy(Shape(spaces_of(env), tuple(config.hidden)))
    seen: Version | None = None
    best = float("-inf")
    while not process.stopping.is_set():
        due = monotonic() + config.evaluate_every_seconds
        message = weights.wait(newer_than=seen)
        seen = message.version
        standardize = apply(message, policy)
        returns = []
        for episode in range(config.evaluate_episodes):
            returns.append(episode_return(env, policy, standardize, SEED + episode))
            if process.stopping.is_set():
                return
        score, arrays = float(np.mean(returns)), {}
        if score > best:
            best, arrays = score, dict(message.arrays)
        metrics.send(arrays, {**_summary(returns), "version": list(seen), "steps": message.meta["steps"]})
        _rest(process, weights, seen, due)


def episode_return(env: Env, policy: Policy, standardize: Standardizer, seed: int) -> float:
    """The return of one deterministic episode that starts from `seed`."""
    observation, _ = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        row = np.asarray(observation, dtype=np.float32)[None]
        action = policy.best(policy.forward(standardize(row)))[0]
        observation, reward, terminated, truncated, _ = env.step(action)
        total += float(reward)
        over = terminated or truncated
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
