"""Observation, reward and end of gymnasium's eleven MuJoCo v5 tasks, for all copies at once.

Every line computes as gymnasium's does, in its order and dtype, so that the bits agree: sums over a row of a float32
action stay float32, and where numpy rounds a scalar and an array apart, the scalar is taken. Parameters are read from
the environment, so options and changed models hold.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from surreal.algorithms.environments.batched.physics import Physics
from surreal.algorithms.types import Array, Bool


class Task:
    """One step of a kind of environment. `envs`: the unwrapped environments, all made alike."""

    def __init__(self, envs: Sequence[Any]) -> None:
        self.env = envs[0]
        self.physics = Physics(
            envs, [self.fields_before(env.data) for env in envs], [self.fields(env.data) for env in envs]
        )
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


class _Runner(Task):
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
            out[:, positions:] = np.clip(qvel, -self.velocity_limit, self.velocity_limit)

    def speed(self) -> Array:
        """Return the speed along x [copies]."""
        speed: Array = (self.state[:, 0] - self.before[0][:, 0]) / self.dt
        return speed

    def rewards(self, actions: Array) -> Array:
        rewards: Array = self.env._forward_reward_weight * self.speed() - self.control_cost(actions)
        return rewards


class HalfCheetah(_Runner):
    """Runs, and never falls."""


class Swimmer(_Runner):
    """Swims, and never falls."""

    skipped = 2


class _Healthy(_Runner):
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


class Walker2d(_Healthy):
    """Healthy while its torso is high and upright enough."""

    def healthy(self) -> Bool:
        z, angle = self.state[:, 1], self.state[:, 2]
        return _between(z, self.env._healthy_z_range) & _between(angle, self.env._healthy_angle_range)


class Hopper(Walker2d):
    """Healthy while, besides, no part of its state is extreme."""

    def healthy(self) -> Bool:
        state = self.state[:, 2:]
        healthy: Bool = _between(state, self.env._healthy_state_range).all(axis=1) & super().healthy()
        return healthy


class Ant(_Healthy):
    """Four legs; contact forces are observed and cost."""

    skipped = 2
    velocity_limit = np.inf

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


class _Human(_Healthy):
    """Seventeen joints; inertia, velocities and forces of all bodies may be observed."""

    skipped = 2
    velocity_limit = np.inf

    def fields(self, data: Any) -> list[Array]:
        return [data.qpos, data.qvel, data.cinert, data.cvel, data.qfrc_actuator, data.cfrc_ext, data.ctrl, data.xipos]

    def observe(self, out: Array) -> None:
        super().observe(out)
        env, views = self.env, self.after
        parts = (
            (env._include_cinert_in_observation, views[2][:, 10:]),
            (env._include_cvel_in_observation, views[3][:, 6:]),
            (env._include_qfrc_actuator_in_observation, views[4][:, 6:]),
            (env._include_cfrc_ext_in_observation, views[5][:, 6:]),
        )
        begin = views[0].shape[1] - self.first + views[1].shape[1]
        for included, values in parts:
            if included is True:
                out[:, begin : begin + values.shape[1]] = values
                begin += values.shape[1]

    def contact(self, weight: float, limits: tuple[float, float]) -> Array:
        """Return the bounded cost of contact forces [copies]."""
        cost: Array = np.clip(weight * np.sum(np.square(self.after[5]), axis=1), *limits)
        return cost

    def control_cost(self, actions: Array) -> Array:
        cost: Array = self.env._ctrl_cost_weight * np.sum(np.square(self.after[6]), axis=1)
        return cost


class Humanoid(_Human):
    """Paid for the speed of its centre of mass."""

    def fields_before(self, data: Any) -> list[Array]:
        return [data.xipos]

    def speed(self) -> Array:
        pairs = zip(self.after[7], self.before[0], strict=True)
        return np.array([(self._centre(new) - self._centre(old)) / self.dt for new, old in pairs])

    def _centre(self, bodies: Array) -> Any:
        """Return the x of the centre of mass: one copy at a time, since einsum rounds a batch in another way."""
        masses = self.env.model.body_mass
        return (np.einsum("b,bj->j", masses, bodies.reshape(-1, 3)) / masses.sum())[0]

    def healthy(self) -> Bool:
        return _between(self.state[:, 2], self.env._healthy_z_range)

    def costs(self, actions: Array) -> Array:
        costs: Array = self.control_cost(actions) + self.contact(
            self.env._contact_cost_weight, self.env._contact_cost_range
        )
        return costs


class HumanoidStandup(_Human):
    """Paid for height."""

    def ended(self) -> Bool | None:
        return None

    def rewards(self, actions: Array) -> Array:
        height = (self.state[:, 2] - 0) / self.env.model.opt.timestep
        impact = self.contact(self.env._impact_cost_weight, self.env._impact_cost_range)
        rewards: Array = height - self.control_cost(actions) - impact + 1
        return rewards


class InvertedPendulum(Task):
    """A pole on a cart."""

    def observe(self, out: Array) -> None:
        out[:] = self.state

    def ended(self) -> Bool | None:
        state = self.state
        self._fallen: Bool = ~np.isfinite(state).all(axis=1) | (np.abs(state[:, 1]) > 0.2)
        return self._fallen

    def rewards(self, actions: Array) -> Array:
        return np.where(self._fallen, 0.0, 1.0)


class InvertedDoublePendulum(Task):
    """Two poles on a cart."""

    def fields(self, data: Any) -> list[Array]:
        return [data.qpos, data.qvel, data.qfrc_constraint[:1], data.site_xpos[0]]

    def observe(self, out: Array) -> None:
        qpos, qvel, force, _ = self.after
        links = qpos.shape[1] - 1
        out[:, :1] = qpos[:, :1]
        out[:, 1 : 1 + links] = np.sin(qpos[:, 1:])
        out[:, 1 + links : 1 + 2 * links] = np.cos(qpos[:, 1:])
        out[:, 1 + 2 * links : -1] = np.clip(qvel, -10, 10)
        out[:, -1:] = np.clip(force, -10, 10)

    def ended(self) -> Bool | None:
        self._fallen: Bool = self.after[3][:, 2] <= 1
        return self._fallen

    def rewards(self, actions: Array) -> Array:
        _, qvel, _, tips = self.after
        rows = zip(tips, qvel, self._fallen, strict=True)
        return np.array([self._reward(tip[0], tip[2], speeds, fallen) for tip, speeds, fallen in rows])

    def _reward(self, x: Any, y: Any, speeds: Array, fallen: Any) -> Any:
        """Return one copy's reward, from numpy scalars: their ** 2 is `pow`, which rounds unlike a product."""
        first, second = speeds[1:3]
        away = 0.01 * x**2 + (y - 2) ** 2
        fast = 1e-3 * first**2 + 5e-3 * second**2
        return self.env._healthy_reward * int(not fallen) - away - fast


class Pusher(Task):
    """An arm that pushes a cylinder to a goal."""

    def fields(self, data: Any) -> list[Array]:
        return [data.qpos, data.qvel, *(data.body(name).xpos for name in ("tips_arm", "object", "goal"))]

    def observe(self, out: Array) -> None:
        qpos, qvel, *places = self.after
        out[:, :7], out[:, 7:14] = qpos[:, :7], qvel[:, :7]
        for index, place in enumerate(places):
            out[:, 14 + 3 * index : 17 + 3 * index] = place

    def rewards(self, actions: Array) -> Array:
        tip, thing, goal = self.after[2:]
        near = -_lengths(thing - tip) * self.env._reward_near_weight
        away = -_lengths(thing - goal) * self.env._reward_dist_weight
        control = -np.square(actions).sum(axis=1) * self.env._reward_control_weight
        rewards: Array = away + control + near
        return rewards


class Reacher(Task):
    """An arm of two links that reaches a target."""

    def fields(self, data: Any) -> list[Array]:
        return [data.qpos, data.qvel, data.body("fingertip").xpos, data.body("target").xpos]

    def observe(self, out: Array) -> None:
        qpos, qvel, tip, target = self.after
        self._apart = tip - target
        out[:, :2], out[:, 2:4] = np.cos(qpos[:, :2]), np.sin(qpos[:, :2])
        rest = qpos.shape[1] - 2
        out[:, 4 : 4 + rest], out[:, 4 + rest : 6 + rest] = qpos[:, 2:], qvel[:, :2]
        out[:, 6 + rest :] = self._apart[:, :2]

    def rewards(self, actions: Array) -> Array:
        away = -_lengths(self._apart) * self.env._reward_dist_weight
        control = -np.square(actions).sum(axis=1) * self.env._reward_control_weight
        rewards: Array = away + control
        return rewards


def _between(values: Array, limits: tuple[float, float]) -> Bool:
    between: Bool = (limits[0] < values) & (values < limits[1])
    return between


def _lengths(vectors: Array) -> Array:
    """Return |row| of each row, as `norm` of one vector rounds: by a dot product."""
    return np.sqrt(np.array([row.dot(row) for row in vectors]))


TASKS = (
    Ant,
    HalfCheetah,
    Hopper,
    Humanoid,
    HumanoidStandup,
    InvertedDoublePendulum,
    InvertedPendulum,
    Pusher,
    Reacher,
    Swimmer,
    Walker2d,
)
