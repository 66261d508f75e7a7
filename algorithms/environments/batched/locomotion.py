"""Bodies that are paid for their speed: HalfCheetah, Swimmer, Walker2d, Hopper, Ant."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from surreal.algorithms.environments.batched.task import Task, bounded
from surreal.algorithms.types import Array, Bool


class Runner(Task):
    """A body that is paid for its speed along x."""

    skipped = 1
    """Positions at the front of qpos that an observation leaves out by default."""
    velocity_limit = np.inf

    def __init__(self, envs: Sequence[Any]) -> None:
        super().__init__(envs)
        self.first = self.skipped if self.env._exclude_current_positions_from_observation else 0

    def fields_before(self, data: Any) -> list[Array]:
        return [data.qpos[:1]]

    def observe(self, out: Array) -> None:
        qpos, qvel = self.after[:2]
        positions = qpos.shape[1] - self.first
        out[:, :positions] = qpos[:, self.first :]
        if self.velocity_limit == np.inf:
            out[:, positions : positions + qvel.shape[1]] = qvel
        else:
            out[:, positions:] = bounded(qvel, self.velocity_limit)

    def speed(self) -> Array:
        """Return the speed along x [copies]."""
        speed: Array = (self.state[:, 0] - self.before[0][:, 0]) / self.dt
        return speed

    def rewards(self, actions: Array) -> Array:
        rewards: Array = self.env._forward_reward_weight * self.speed() - self.control_cost(actions)
        return rewards


class HalfCheetah(Runner):
    """Runs, and never falls."""


class Swimmer(Runner):
    """Swims, and never falls."""

    skipped = 2


class Healthy(Runner):
    """A body that may fall."""

    velocity_limit = 10.0

    def healthy(self) -> Bool:
        """Return which copies are healthy [copies]."""
        raise NotImplementedError

    def ended(self) -> Bool | None:
        self._healthy = self.healthy()
        return ~self._healthy if self.env._terminate_when_unhealthy else None

    def rewards(self, actions: Array) -> Array:
        forward = self.env._forward_reward_weight * self.speed()
        rewards: Array = forward + self._healthy * self.env._healthy_reward - self.costs(actions)
        return rewards

    def costs(self, actions: Array) -> Array:
        """Return what is taken off the reward [copies]."""
        return self.control_cost(actions)


class Walker2d(Healthy):
    """Healthy while its torso is high and upright enough."""

    def __init__(self, envs: Sequence[Any]) -> None:
        super().__init__(envs)
        limits = np.array(self.limits(), dtype=np.float64)
        self.low, self.high = limits.T
        self.checked = self.state[:, 1 : 1 + len(limits)]

    def limits(self) -> list[tuple[float, float]]:
        """Return the range of each number of the state that is looked at, from the height on."""
        return [self.env._healthy_z_range, self.env._healthy_angle_range]

    def healthy(self) -> Bool:
        inside = self.low < self.checked
        inside &= self.checked < self.high
        healthy: Bool = inside.all(axis=1)
        return healthy


class Hopper(Walker2d):
    """Healthy while, besides, no part of its state is extreme."""

    def limits(self) -> list[tuple[float, float]]:
        (low, high), (least, most) = self.env._healthy_angle_range, self.env._healthy_state_range
        others = self.state.shape[1] - 3
        return [self.env._healthy_z_range, (max(low, least), min(high, most)), *others * [(least, most)]]


class Ant(Healthy):
    """Four legs; contact forces are observed and cost."""

    skipped = 2
    velocity_limit = np.inf
    forces = True

    def fields(self, data: Any) -> list[Array]:
        return [data.qpos, data.qvel, data.cfrc_ext, data.body(self.env._main_body).xpos[:2]]

    def fields_before(self, data: Any) -> list[Array]:
        return [data.body(self.env._main_body).xpos[:2]]

    def speed(self) -> Array:
        speed: Array = (self.after[3][:, 0] - self.before[0][:, 0]) / self.dt
        return speed

    def observe(self, out: Array) -> None:
        self._forces = np.clip(self.after[2], *self.env._contact_force_range)
        super().observe(out)
        if self.env._include_cfrc_ext_in_observation:
            out[:, -(self._forces.shape[1] - 6) :] = self._forces[:, 6:]

    def healthy(self) -> Bool:
        low, high = self.env._healthy_z_range
        state = self.state[:, : self.env.model.nq + self.env.model.nv]
        healthy: Bool = np.isfinite(state).all(axis=1) & (low <= state[:, 2]) & (state[:, 2] <= high)
        return healthy

    def costs(self, actions: Array) -> Array:
        contact = self.env._contact_cost_weight * np.sum(np.square(self._forces), axis=1)
        costs: Array = self.control_cost(actions) + contact
        return costs
