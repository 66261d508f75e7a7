"""A task whose copies are stepped together: what is read of the physics, observation, reward and end.

Every line of a task computes as gymnasium's does, in its order and dtype, so that the bits agree: sums over a row of a
float32 action stay float32, and where numpy rounds a scalar and an array apart, the scalar is taken. Parameters are
read from the environment, so options and changed models hold.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from surreal.algorithms.environments.batched.physics import Physics
from surreal.algorithms.types import Array, Bool


class Task:
    """One step of a kind of environment. `envs`: the unwrapped environments, all made alike."""

    forces = False
    """True where forces of contacts are read: MuJoCo computes them on demand, and no step depends on them."""

    def __init__(self, envs: Sequence[Any]) -> None:
        self.env = envs[0]
        before, after = ([read(env.data) for env in envs] for read in (self.fields_before, self.fields))
        self.physics = Physics(envs, before, after, self.forces)
        self.before, self.after, self.state = self.physics.before, self.physics.after, self.physics.state
        self.step = self.physics.step
        self.dt = self.env.dt

    def fields(self, data: Any) -> list[Array]:
        """Return what is read after a step: qpos and qvel first."""
        return [data.qpos, data.qvel]

    def fields_before(self, data: Any) -> list[Array]:
        """Return what is read before a step."""
        return []

    def observe(self, out: Array) -> None:
        """Write the observations [copies, observation] of all copies."""
        raise NotImplementedError

    def rewards(self, actions: Array) -> Array:
        """Return the rewards [copies] of the step."""
        raise NotImplementedError

    def ended(self) -> Bool | None:
        """Return which copies have terminated [copies], None where none can. Called before `rewards`."""
        return None

    def control_cost(self, actions: Array) -> Array:
        """Return weight * |action|^2 [copies] in the dtype of the action."""
        cost: Array = self.env._ctrl_cost_weight * np.sum(np.square(actions), axis=1)
        return cost


def between(values: Array, limits: tuple[float, float]) -> Bool:
    """Return which values lie strictly between the limits."""
    between: Bool = (limits[0] < values) & (values < limits[1])
    return between


def bounded(values: Array, limit: float) -> Array:
    """Return the values within +-limit, as np.clip does in three times the time."""
    found = np.maximum(values, -limit)
    return np.minimum(found, limit, out=found)


def lengths(vectors: Array) -> Array:
    """Return |row| of each row, as `norm` of one vector rounds: by a dot product."""
    lengths: Array = np.sqrt(np.array([row.dot(row) for row in vectors]))
    return lengths
