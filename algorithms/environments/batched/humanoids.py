"""Bodies of seventeen joints: Humanoid, HumanoidStandup."""

from typing import Any

import numpy as np

from surreal.algorithms.environments.batched.locomotion import Healthy
from surreal.algorithms.environments.batched.task import between
from surreal.algorithms.types import Array, Bool


class Human(Healthy):
    """Seventeen joints; inertia, velocities and forces of all bodies may be observed."""

    skipped = 2
    velocity_limit = np.inf
    forces = True

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


class Humanoid(Human):
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
        return between(self.state[:, 2], self.env._healthy_z_range)

    def costs(self, actions: Array) -> Array:
        costs: Array = self.control_cost(actions) + self.contact(
            self.env._contact_cost_weight, self.env._contact_cost_range
        )
        return costs


class HumanoidStandup(Human):
    """Paid for height."""

    def ended(self) -> Bool | None:
        return None

    def rewards(self, actions: Array) -> Array:
        height = (self.state[:, 2] - 0) / self.env.model.opt.timestep
        impact = self.contact(self.env._impact_cost_weight, self.env._impact_cost_range)
        rewards: Array = height - self.control_cost(actions) - impact + 1
        return rewards
