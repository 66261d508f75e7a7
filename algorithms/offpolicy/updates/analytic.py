"""Gradients by hand, in numpy: the parts of all algorithms, and DDPG and TD3.

Each lane takes some rows of a batch, then some of the parameters. The derivation of each line stands beside it; tests
hold all of it to autograd.
"""

from abc import abstractmethod
from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from surreal.algorithms.offpolicy.loops import NUMPY, Loops
from surreal.algorithms.offpolicy.mlp import Gradients, Layout, Network, Tape, split
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.base import Batch, Engine, Rates, Settings
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, operation

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Decays of Adam's moments, and the constant below its quotient."""
SHARED_FROM = 300_000
"""Parameters from which the lanes share the steps of the optimizer."""
ALONE = Lanes(1)
"""The calling thread."""


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1, with the efficient form of section 2)."""

    def __init__(self, size: int, loops: Loops = NUMPY) -> None:
        self._sum1, self._sum2 = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
        self.steps, self._loops = 0, loops

    def step(self, vector: Array, grad: Array, rate: float, part: slice) -> None:
        """Step `part` of `vector` [size] by the gradient `grad` [size]. Count the step in `steps` before its parts.

        The sums' common factors, 1 - beta, are left to the step size.
        """
        correction = sqrt((1 - BETA2**self.steps) / (1 - BETA2))
        size = rate * correction * (1 - BETA1) / (1 - BETA1**self.steps)
        given = (vector[part], grad[part], self._sum1[part], self._sum2[part])
        factors = map(np.float32, (BETA1, BETA2, EPSILON * correction, size))
        self._loops.adam(*given, *factors)

    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs: the sums, which are the paper's moments over 1 - beta."""
        return {"sum1": self._sum1, "sum2": self._sum2, "steps": np.array([self.steps])}

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self._sum1[:], self._sum2[:] = arrays["sum1"], arrays["sum2"]
        self.steps = int(arrays["steps"][0])


class Learned:
    """Networks of one layout that are trained together: parameters, followers, gradients of each lane, optimizer."""

    def __init__(self, layout: Layout, vector: Array, lanes: Lanes, followed: bool, loops: Loops) -> None:
        self.vector = np.array(vector, dtype=np.float32)
        self.target = self.vector.copy() if followed else np.zeros(0, dtype=np.float32)
        self.networks = [Network(layout, part, loops) for part in split(layout, self.vector)]
        self.targets = [Network(layout, part, loops) for part in split(layout, self.target)]
        # to wake a thread takes as long as a step of 100,000 numbers
        self._lanes = lanes if len(vector) > SHARED_FROM else ALONE
        self._parts = self._lanes.parts(len(vector))
        self._grads = np.zeros((lanes.count, len(vector)), dtype=np.float32)
        self.views = [[Gradients(part, layout.views(part)) for part in split(layout, grad)] for grad in self._grads]
        """Places of the gradients: [lane][network]."""
        self._adam, self._loops = Adam(len(vector), loops), loops

    def step(self, rate: float, limit: float | None) -> bool:
        """Step by the sum of the lanes' gradients, at most of norm `limit`. Returns False where it is not finite."""
        grad = self._grads[0]
        for other in self._grads[1:]:
            grad += other
        norm = float(np.sqrt(np.dot(grad, grad)))
        if not np.isfinite(norm):
            return False
        if limit is not None and norm > limit:
            grad *= np.float32(limit / norm)
        self._adam.steps += 1
        with operation("optimizer", NUMERIC):
            self._lanes.run(lambda lane: self._adam.step(self.vector, grad, rate, self._parts[lane]))
        return True

    def follow(self, share: float) -> None:
        """Move the followers by `share` of the way."""
        if share >= 1.0:
            self.target[:] = self.vector[: len(self.target)]
        elif len(self.target):
            target, vector, parts = self.target, self.vector, self._parts
            self._lanes.run(lambda n: self._loops.follow(target[parts[n]], vector[parts[n]], np.float32(share)))

    def arrays(self, name: str) -> dict[str, Array]:
        """Return everything a checkpoint needs, under keys that begin with `name`."""
        kept = {name: self.vector, **{f"{name}.{key}": array for key, array in self._adam.arrays().items()}}
        return {**kept, f"{name}.target": self.target} if len(self.target) else kept

    def load(self, name: str, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self.vector[:] = arrays[name]
        if len(self.target):
            self.target[:] = arrays[f"{name}.target"]
        self._adam.load({key: arrays[f"{name}.{key}"] for key in self._adam.arrays()})


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

    def actor_rows(self, lane: int, rows: Batch, scale: np.float32) -> tuple[float, float]:
        """Write the gradient of -mean Q_1(s, tanh(pi(s)))."""
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
