"""Parts of a synchronous algorithm: actors play with one version of the weights, the learner waits for all of them.

The graph, the episodes of an actor and all of a learner but its update are the same for every such algorithm.
"""

from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.training_loop import ArrayState, Trainer, Waiting
from surreal.algorithms.types import F32, Array, Int
from surreal.protocol.graph import Broadcast, Role, Stream
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

Run = str | Callable[[Process], Any]
CALL_SECONDS = 1.0
"""Time between two calls of `waiting` while actors are waited for."""


def actor_learner(name: str, config: type[BaseModel], *, learner: Run, actor: Run, evaluator: Run) -> Algorithm:
    """Return an algorithm of the usual graph, with a function or `module:function` for each of its roles.

    Actors send on `experience` to one learner, which sends `weights` to all; reports go to it on `metrics`.
    """
    return Algorithm(
        name,
        config,
        roles=[
            Role("learner", learner, ends_run=True),
            Role("actor", actor, replicas=2, scalable=True, expendable=True, acts=True),
            Role("evaluator", evaluator, expendable=True, evaluates=True, cpu=0.5),
        ],
        channels=[
            Stream("experience", "actor", "learner", window=4, finite=True),
            Broadcast("weights", "learner", ("actor", "evaluator")),
            Stream("metrics", ("actor", "evaluator"), "learner", lossy=True),
        ],
    )


class Episode(NamedTuple):
    """One whole episode of n steps."""

    features: Array
    """[n, observation]: what the policy saw before each step."""
    actions: Array
    """[n] or [n, action]: what the policy chose, as it chose it."""
    rewards: F32
    """[n]"""


def play(env: Environment, choose: Callable[[Array], Array], rng: np.random.Generator) -> Episode:
    """Play an episode to its end. `choose` maps features [1, observation] to the choice or action of a policy [1, ...].

    The environment's seed is drawn from `rng`.
    """
    row = np.array(env.reset(int(rng.integers(2**31))))[None]
    features, actions, rewards, over = [], [], [], False
    while not over:
        features.append(row.copy())
        actions.append(choose(row))
        reward, terminated, truncated = env.step(env.actions(actions[-1])[0], row, 0)
        rewards.append(reward)
        over = terminated or truncated
    return Episode(np.concatenate(features), np.concatenate(actions), np.array(rewards, dtype=np.float32))


def discounted(rewards: Array, gamma: float) -> F32:
    """Return the sum of rewards from each step of an episode on [n], each step discounted by gamma."""
    returns: F32 = np.array(rewards, dtype=np.float32)
    for t in range(len(returns) - 2, -1, -1):
        returns[t] += gamma * returns[t + 1]
    return returns


def softmax(logits: Array) -> Array:
    """Return the probabilities [n, choices] of logits [n, choices]."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def sample(logits: Array, rng: np.random.Generator) -> Int:
    """Return one choice [n] of each row of logits [n, choices], by the Gumbel-max trick."""
    return np.asarray(np.argmax(logits + rng.gumbel(size=logits.shape), axis=1))


def versions(process: Process) -> Iterator[Message]:
    """Yield the newest weights, each version once, until this process is asked to stop. Raises Stopping."""
    weights, seen = process.subscriber("weights"), None
    while not process.should_stop:
        message = weights.wait(newer_than=seen)
        seen = message.version
        yield message


class SynchronousTrainer(Trainer[dict[str, Array]]):
    """Learner that makes each update of one message from every actor, all played with the newest weights.

    A subclass has `learn`: it changes `arrays` in place and says `self.learned(steps)`.
    """

    def __init__(
        self, process: Process, arrays: dict[str, Array], total_steps: int, policy: Mapping[str, Any] | None = None
    ) -> None:
        """Learn `arrays`, which actors receive by name, for `total_steps`; `policy` is `describe`'s."""
        self.arrays, self.total_steps, self.policy = arrays, total_steps, policy or {}
        self.state = ArrayState(arrays, total_steps)
        self._experience, self._weights = process.receiver("experience"), process.publisher("weights")
        wiring, self._session = process.wiring, process.session
        self._actors, self._least = wiring.replicas["actor"], wiring.least.get("actor")
        self._incarnation = wiring.incarnation

    def collect(self, waiting: Waiting) -> dict[str, Array]:
        """Wait for every actor; return its arrays by name, joined over all actors in the order of their names.

        Where their number changes it waits for those that are heard from, and for the least number at any rate.
        """
        found: dict[str, Message] = {}
        began = monotonic()
        while missing := self._missing(found):
            message = self._experience.recv(timeout=CALL_SECONDS)
            if message is None:
                waiting(f"{missing} of {missing + len(found)} actors", monotonic() - began)
            elif message.version == (self._incarnation, self.state.updates):
                found[message.sender] = message
        messages = [found[sender] for sender in sorted(found)]
        return {name: np.concatenate([each.arrays[name] for each in messages]) for name in messages[0].arrays}

    def _missing(self, found: Mapping[str, Message]) -> int:
        if self._least is None:
            return self._actors - len(found)
        heard = {f"actor/{index}" for index in self._session.alive("actor")}
        return max(self._least - len(found), len(heard - found.keys()))

    def learned(self, steps: int) -> None:
        """Count one update that was made of `steps` environment steps."""
        self.state.steps, self.state.updates = self.state.steps + steps, self.state.updates + 1

    def publish(self, version: Version) -> None:
        """Send the arrays."""
        self._weights.publish(self.arrays, {"steps": self.state.steps, "final": self.state.done()}, version[1])
