"""Poles on carts and arms: InvertedPendulum, InvertedDoublePendulum, Pusher, Reacher."""

from typing import Any

import numpy as np

from surreal.algorithms.environments.batched.task import Task, bounded, lengths
from surreal.algorithms.types import Array, Bool


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
        out[:, 1 + 2 * links : -1] = bounded(qvel, 10)
        out[:, -1:] = bounded(force, 10)

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
        near = -lengths(thing - tip) * self.env._reward_near_weight
        away = -lengths(thing - goal) * self.env._reward_dist_weight
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
        away = -lengths(self._apart) * self.env._reward_dist_weight
        control = -np.square(actions).sum(axis=1) * self.env._reward_control_weight
        rewards: Array = away + control
        return rewards
