"""Networks of an off-policy algorithm: which there are, what their inputs and outputs mean, and their layouts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.offpolicy.mlp import Layout
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal

Kind = Literal["deterministic", "gaussian", "categorical", "values"]
"""Meaning of the acting network's outputs: actions before tanh; means and log stds before tanh; logits; values."""
LOG_STD = (np.float32(-20.0), np.float32(2.0))
"""Bounds of the log standard deviations of a Gaussian."""
HEAD = 0.1
"""Scale of an actor's last layer at the start, so that no action begins near its bounds."""


@dataclass(frozen=True)
class Shape:
    """Networks of one algorithm for one environment."""

    kind: Kind
    spaces: Spaces
    hidden: tuple[int, ...]
    critics: int
    """Number of independent critics."""
    layer_norm: bool = False
    """Critics have layer norms."""
    dueling: bool = False
    """Value networks have an output for the state and one for each choice's advantage (Wang et al. 2016)."""

    @property
    def actor(self) -> Layout | None:
        """Layout of the actor; None where the values themselves act."""
        if self.kind == "values":
            return None
        outputs = self.spaces.action * (2 if self.kind == "gaussian" else 1)
        return Layout((self.spaces.observation, *self.hidden, outputs))

    @property
    def critic(self) -> Layout:
        """Layout of one critic: of observation and action to a value, or of observation to the values of choices."""
        if self.kind in ("values", "categorical"):
            widths = (self.spaces.observation, *self.hidden, self.spaces.action + self.dueling)
        else:
            widths = (self.spaces.observation + self.spaces.action, *self.hidden, 1)
        return Layout(widths, self.layer_norm)

    @property
    def acting(self) -> Layout:
        """Layout of the network that actors need."""
        return self.actor or self.critic

    def initial(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the actor's parameters (empty where there is none) and those of all critics, one after another."""
        actor = self.actor.initial(rng, HEAD) if self.actor else np.zeros(0, dtype=np.float32)
        return actor, np.concatenate([self.critic.initial(rng) for _ in range(self.critics)])

    def data(self) -> dict[str, Any]:
        """Return the acting network as plain data, for the description in a checkpoint."""
        layout = self.acting
        return {
            "kind": "relu",
            "outputs": self.kind,
            "hidden": list(self.hidden),
            "layer_norm": layout.normed,
            "dueling": self.dueling,
        }

    @classmethod
    def load(cls, data: Mapping[str, Any], spaces: Spaces) -> "Shape":
        """Return a shape whose acting network is the one that `data` described. Raises KeyError for none."""
        return cls(data["outputs"], spaces, tuple(data["hidden"]), 1, data["layer_norm"], data["dueling"])


def check_actions(algorithm: str, spaces: Spaces, discrete: bool | None, instead: str = "") -> None:
    """Raise Fatal where `algorithm` does not take the environment's actions; `discrete` None takes both kinds.

    `instead` names algorithms of its kind that take the others.
    """
    if len(spaces.choices) < 2 and discrete in (None, spaces.discrete):
        return
    if len(spaces.choices) > 1:
        raise Fatal(
            f"algorithm.name: {algorithm!r} takes one choice at a time, the environment has {spaces.action_space}. "
            f"{'Wrap it to take one.' if instead else 'Choose ppo.'}"
        )
    wanted, others = ("Discrete", "ddpg, td3 or sac") if discrete else ("Box", "dqn or sac")
    raise Fatal(
        f"algorithm.name: {algorithm!r} takes {wanted} actions, the environment has {spaces.action_space}. "
        f"Choose {instead or others}."
    )


def advantages_to_values(outputs: Array) -> Array:
    """Return values [n, choices] = V + A - mean A of dueling outputs [n, 1 + choices] (Wang et al. 2016, eq. 9)."""
    advantages = outputs[:, 1:]
    return np.asarray(outputs[:, :1] + advantages - advantages.mean(axis=1, keepdims=True))
