"""Gradients by hand, in numpy: the parts of all algorithms, and DDPG and TD3.

Each lane takes some rows of a batch, then some of the parameters. The derivation of each line stands beside it; tests
hold all of it to autograd.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from surreal.algorithms.offpolicy.loops import NUMPY, LaneLoops, Loops
from surreal.algorithms.offpolicy.mlp import Network, Tape
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.base import Batch, Engine, Rates, Settings
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.offpolicy.updates.learned import Learned
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation

NO_NOISE = np.zeros((0, 0), dtype=np.float32)
"""No noise on the target's actions."""


class Analytic(Engine):
    """Engine without torch. Subclasses say what the targets are and how the actor's loss is."""

    def __init__(
        self,
        shape: Shape,
        settings: Settings,
        vectors: tuple[Array, Array],
        lanes: Lanes,
        loops: Loops = NUMPY,
    ) -> None:
        """Begin with the parameters of actor and critics in `vectors`, as Shape.initial returns them."""
        self.shape, self.settings, self.lanes = shape, settings, lanes
        self.whole: LaneLoops | None = None
        """Compiled work of a whole lane, where the engine is one that there is such for."""
        self.critics = Learned(shape.critic, vectors[1], lanes, True, loops)
        self.actor = Learned(shape.actor, vectors[0], lanes, settings.target_actor, loops) if shape.actor else None

    @abstractmethod
    def targets(self, rows: Batch) -> Array:
        """Return what the values [rows] should be: rewards + discounts x value of the next observation."""

    def inputs(self, rows: Batch) -> Array:
        """Return what the critics see of the rows."""
        return np.concatenate([rows.observations, rows.actions], axis=1)

    def taken(self, outputs: Array, rows: Batch) -> Array:
        """Return the values [rows] of the actions that were taken, from a critic's outputs."""
        return np.asarray(outputs[:, 0])

    def spread(self, outputs: Array, slope: Array, rows: Batch) -> Array:
        """Return d loss / d outputs from d loss / d taken, `slope` [rows]."""
        return slope[:, None]

    def critic_step(self, batch: Batch, rate: float) -> tuple[Array, dict[str, float]]:
        """See base.Engine: sum over the critics of mean w (Q - y)^2 / 2, or of Huber's loss."""
        size = len(batch.rewards)
        errors, values, parts = np.zeros(size, np.float32), np.zeros(size, np.float32), self.lanes.parts(size)
        self.lanes.run(lambda lane: self._critic_rows(lane, parts[lane], batch, errors, values))
        self.skipped += not self.critics.step(rate, self.settings.max_grad_norm)
        errors /= np.float32(self.shape.critics)
        loss = float(np.dot(errors, errors)) / (2 * size)
        return errors, {"critic_loss": loss, "value_mean": float(values.mean())}

    def _critic_rows(self, lane: int, part: slice, batch: Batch, errors: Array, values: Array) -> None:
        """Write the gradients of the critics on some rows, and the rows' errors and values."""
        rows, scale = batch.part(part), np.float32(1.0 / len(batch.rewards))
        if self.whole:
            with operation("critic gradients", NUMERIC):
                errors[part], values[part] = self._critics_whole(self.whole, lane, rows, scale)
            return
        with operation("forward", NUMERIC):
            targets, inputs = self.targets(rows), self.inputs(rows)
        for critic, network in enumerate(self.critics.networks):
            tape = Tape()
            with operation("forward", NUMERIC):
                outputs = network(inputs, tape)
            taken = self.taken(outputs, rows)
            error = taken - targets
            errors[part] += np.abs(error)
            values[part] = taken
            slope = np.clip(error, -1.0, 1.0) if self.settings.huber else error
            slope = slope * rows.weights * scale
            with operation("backward", NUMERIC):
                network.backward(tape, self.spread(outputs, slope, rows), self.critics.views[lane][critic])

    def _critics_whole(self, whole: LaneLoops, lane: int, rows: Batch, scale: np.float32) -> Array:
        """Write the gradients in compiled code. Returns errors and values [2, rows]."""
        inputs, critics = self.inputs(rows), self.critics
        following = np.empty_like(inputs)
        given = np.empty((4, len(inputs)), dtype=np.float32)
        given[0], given[1], given[3] = rows.rewards, rows.discounts, self.next_inputs(whole, rows, following)
        np.multiply(rows.weights, scale, out=given[2])
        found = np.zeros((2, len(inputs)), dtype=np.float32)
        vectors = critics.each(critics.vector), critics.each(critics.target)
        whole.critics_back(*vectors, critics.widths, inputs, following, given, found, critics.gradients(lane))
        return found

    def next_inputs(self, whole: LaneLoops, rows: Batch, inputs: Array) -> Any:
        """Write what the target critics see to `inputs`. Return what their values are added to, [rows] or 0."""
        raise NotImplementedError

    def actor_step(self, batch: Batch, rates: Rates) -> dict[str, float]:
        """See base.Engine."""
        assert self.actor is not None
        size = len(batch.rewards)
        parts, sums = self.lanes.parts(size), np.zeros((self.lanes.count, 2))
        scale = np.float32(1.0 / size)
        self.lanes.run(lambda lane: self._actor_lane(lane, batch.part(parts[lane]), scale, sums))
        self.skipped += not self.actor.step(rates.actor, self.settings.max_grad_norm)
        loss, entropy = (sums.sum(axis=0) / size).tolist()
        return {"actor_loss": loss, **self.after_actor(entropy, rates)}

    def _actor_lane(self, lane: int, rows: Batch, scale: np.float32, sums: Array) -> None:
        with operation("actor gradient", NUMERIC):
            sums[lane] = self.actor_rows(lane, rows, scale)

    def actor_rows(self, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """Write the gradient of the actor on some rows of a batch whose mean has the factor `scale`.

        Returns the sums over the rows of the loss and of the entropy.
        """
        raise NotImplementedError

    def after_actor(self, entropy: float, rates: Rates) -> dict[str, float]:
        """Return metrics of the entropy, having stepped the temperature by the mean `entropy`; none by default."""
        return {}

    def move_targets(self, share: float) -> None:
        """See base.Engine."""
        with operation("targets", NUMERIC):
            self.critics.follow(share)
            if self.actor is not None:
                self.actor.follow(share)

    def policy(self) -> Array:
        """See base.Engine."""
        acting = self.actor or self.critics
        return acting.vector[: self.shape.acting.size].copy()

    def arrays(self) -> dict[str, Array]:
        """See base.Engine."""
        return {**self.critics.arrays("critics"), **(self.actor.arrays("actor") if self.actor else {})}

    def load(self, arrays: dict[str, Array]) -> None:
        """See base.Engine."""
        self.critics.load("critics", arrays)
        if self.actor is not None:
            self.actor.load("actor", arrays)


class Judged(NamedTuple):
    """Actions of a policy at some observations, their values, and both passes, which the gradient goes back through."""

    actions: Array
    values: Array
    """Values [rows, 1] by the first critic."""
    actor: Tape
    critic: Tape


class Deterministic(Analytic):
    """Engine of DDPG (Lillicrap et al. 2016) and TD3 (Fujimoto et al. 2018): the actor follows the critic's slope.

    DDPG has one critic and no smoothing noise, TD3 two, the smaller of which counts.
    """

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d min_i Q'_i(s', clip(pi'(s') + noise, -1, 1)) (Fujimoto et al. 2018, eq. 14)."""
        assert self.actor is not None
        actions = np.tanh((self.actor.targets or self.actor.networks)[0](rows.next_observations))
        if rows.next_noise.size:
            actions += rows.next_noise
            np.minimum(np.maximum(actions, -1.0, out=actions), 1.0, out=actions)
        values = smallest(self.critics.targets, np.concatenate([rows.next_observations, actions], axis=1))
        return np.asarray(rows.rewards + rows.discounts * values[:, 0])

    def next_inputs(self, whole: LaneLoops, rows: Batch, inputs: Array) -> Any:
        """See Analytic."""
        assert self.actor is not None
        actor, noise = self.actor, rows.next_noise if rows.next_noise.size else NO_NOISE
        acting = actor.target if len(actor.target) else actor.vector
        whole.smoothed_next(acting, actor.widths, rows.next_observations, noise, inputs)
        return np.float32(0)

    def actor_rows(self, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """Write the gradient of -mean Q_1(s, tanh(pi(s)))."""
        assert self.actor is not None
        if self.whole:
            actor, critics = self.actor, self.critics
            judge = (critics.networks[0].vector, critics.widths)
            grads = actor.gradients(lane)[0]
            loss = self.whole.deterministic_actor(actor.vector, actor.widths, *judge, rows.observations, scale, grads)
            return float(loss), 0.0
        return self.followed(lane, rows, self.judged(rows), scale, np.float32(1)), 0.0

    def judged(self, rows: Batch) -> Judged:
        """Return the policy's actions at the observations, and what the first critic holds of them."""
        assert self.actor is not None
        actor, critic = Tape(), Tape()
        actions = np.tanh(self.actor.networks[0](rows.observations, actor))
        values = self.critics.networks[0](np.concatenate([rows.observations, actions], axis=1), critic)
        return Judged(actions, values, actor, critic)

    def followed(self, lane: int, rows: Batch, judged: Judged, scale: np.float32, weight: np.float32) -> float:
        """Write the gradient of -w mean Q_1 and of what `pull` adds: d tanh = 1 - tanh^2. Returns the rows' loss."""
        assert self.actor is not None
        actions, values = judged.actions, judged.values
        loss, pull = self.pull(actions, rows)
        first, narrow = self.critics.networks[0], rows.observations.shape[1]
        slope = first.backward(judged.critic, np.full_like(values, -scale * weight), None, to_input=True)
        slope = (slope[:, narrow:] + scale * pull) * (1 - actions * actions)
        self.actor.networks[0].backward(judged.actor, slope, self.actor.views[lane][0])
        return loss - float(weight * values.sum())

    def pull(self, actions: Array, rows: Batch) -> tuple[float, Array]:
        """Return what the actor's loss has besides, summed over the rows, and its slope by `actions` [rows, action]."""
        return 0.0, np.zeros((), dtype=np.float32)


def smallest(networks: Sequence[Network], inputs: Array) -> Array:
    """Return the smallest outputs [rows, out] that any of the networks has for `inputs`."""
    values = networks[0](inputs)
    for network in networks[1:]:
        np.minimum(values, network(inputs), out=values)
    return values
