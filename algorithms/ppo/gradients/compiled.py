"""PPO's gradient by loops that numba compiled: what `analytic` computes, in one call for each epoch.

numba is imported, and the loops are compiled or loaded from the disk, in a thread while the first fragments are made.
"""

from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.random import Generator

from surreal.algorithms.distributions import masked
from surreal.algorithms.models.byhand.compiling import Compiler
from surreal.algorithms.models.memory import Memories
from surreal.algorithms.networks import Shape
from surreal.algorithms.ppo.batch import Batch, Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.analytic import Analytic
from surreal.algorithms.ppo.gradients.base import Rates, Stats
from surreal.algorithms.types import F32, Array, Int

LEAST_ROWS = 128
"""Rows that there is room for, at the least, and rows of a forward pass alone: what stays in a core's cache."""
TILE_ROWS, TILE_WIDTH = 4, 16
"""Rows and columns of a tile of passes.py, which is not imported for them."""
MOST_HEADS = 8
"""Numbers of rows whose views are kept: those of the minibatches, and what is left of a batch."""


class Room:
    """Memory for the activations of some rows, and the places in it that the loops are told."""

    def __init__(self, shape: Shape, rows: int) -> None:
        """Make room for `rows`."""
        places = shape.views(np.arange(shape.size))
        widths, action = [shape.spaces.observation, *shape.hidden], shape.spaces.action
        widest = max(map(padded, (*widths, action)))
        nets, ends, at = [], [], rows * padded(widths[0])
        for net, head in enumerate(("policy", "value")):
            weights = [places[f"weight{n}"][net] for n in range(len(shape.hidden))] + [places[f"{head}.weight"]]
            biases = [places[f"bias{n}"][net] for n in range(len(shape.hidden))] + [places[f"{head}.bias"]]
            layers, x = [], 0
            for weight, bias in zip(weights, biases, strict=True):
                (into, out), here = weight.shape, at
                layers.append((into, out, weight.flat[0], bias.flat[0], x, padded(into), here, padded(out)))
                x, at = here, here + rows * padded(out)
            nets.append(layers)
            ends.append((x, layers[-1][-1], at))
            at += rows * widest
        self.rows, self.wide = rows, padded(widths[0])
        self.ends: Int = np.array([(place, width, gradient) for place, width, gradient in ends])
        """[2, 3]: see epochs.Networks."""
        self.nets: Int = np.array(nets)
        """[2, layers, 8]: see passes.forward."""
        self.gradients: Int = np.array([ends[0][2], ends[1][2], at])
        """Places of the gradients of both outputs, and a spare one for rows of the widest layer."""
        self.work: F32 = np.zeros(at + rows * widest, dtype=np.float32)
        self.panel: F32 = np.zeros((max(rows, widest) + TILE_ROWS) * TILE_WIDTH, dtype=np.float32)
        self._heads: dict[int, tuple[F32, F32, F32, F32]] = {}

    def put(self, observations: Array) -> None:
        """Copy observations [rows, observation] to where both networks begin."""
        rows, wide = observations.shape
        self.work[: rows * self.wide].reshape(rows, self.wide)[:, :wide] = observations

    def heads(self, rows: int) -> tuple[F32, F32, F32, F32]:
        """Return the outputs [rows, padded] of the policy, the place of their gradient, and the same of the value."""
        if rows not in self._heads:
            if len(self._heads) > MOST_HEADS:
                self._heads.clear()
            cuts = [(at, width) for place, width, gradient in self.ends.tolist() for at in (place, gradient)]
            views = [self.work[at : at + rows * width].reshape(rows, width) for at, width in cuts]
            self._heads[rows] = (views[0], views[1], views[2], views[3])
        return self._heads[rows]


def padded(width: int) -> int:
    """Return the room for a row of `width` numbers."""
    return -(-width // TILE_WIDTH) * TILE_WIDTH


class Compiled(Analytic):
    """See base.Gradient. The KL penalty and masks are left to numpy, between the compiled passes.

    Where numba cannot compile, all of it is: one line in the log says so.
    """

    def __init__(self, shape: Shape, config: PPOConfig, vector: Array) -> None:
        super().__init__(shape, config, vector)
        self._shape, self._room = shape, Room(shape, max(LEAST_ROWS, self._config.minibatch))
        self._parts, self._sums = np.array(self._choices, dtype=np.int64), np.zeros(5)
        at = shape.views(np.arange(shape.size)).get("log_std")
        self._about = self._parts if at is None else np.array([at[0], at[-1] + 1])
        self._passes: Any = None
        self._losses: Any = None
        self._epochs: Any = None
        self._loops: Any = None
        self._compiler: Compiler[Any] | None = Compiler(self._load)

    def _load(self) -> bool:
        """Have everything compiled, or loaded from the disk, by a step on made-up rows that changes nothing."""
        try:
            from surreal.algorithms.models.byhand import loops
            from surreal.algorithms.ppo.gradients import epochs, losses, passes

            self._passes, self._losses, self._loops, self._epochs = passes, losses, loops, epochs
            room, rows, wide = Room(self._shape, 2), 2, self._shape.spaces.action
            passes.forward(room.nets[:1], self._vector, room.work, rows, room.panel)
            numbers = [np.zeros(rows, dtype=np.float32)] * 4
            observations = np.zeros((rows, self._shape.spaces.observation), dtype=np.float32)
            actions = np.zeros((rows, len(self._choices) or wide), np.int64 if self._choices else np.float32)
            self._loss(room.heads(rows), losses.Rows(actions, *numbers))
            passes.backward(room.nets, self._vector, self._grad, room.work, room.gradients, rows, room.panel)
            loops.adam(*(np.zeros_like(self._grad) for _ in range(4)), np.inf, np.zeros_like(self._grad), 1)
            if self._config.objective == "clip":
                self._epoch(
                    room, losses.Rows(actions, *numbers), observations, np.arange(0), np.zeros_like(self._grad), None
                )
        except Exception:
            self._passes = self._losses = self._loops = self._epochs = None
            raise
        return True

    def _ready(self) -> bool:
        """Return True if there are compiled loops, once that is known."""
        if self._compiler is not None:
            self._compiler.loaded()
            self._compiler = None
            self._network.adam = self._loops and self._loops.adam
        return self._losses is not None

    def differentiate(self, minibatch: Minibatch, beta: float, stats: Stats | None) -> Array:
        """See base.Gradient."""
        if not self._ready():
            return super().differentiate(minibatch, beta, stats)
        rows = len(minibatch.observations)
        if rows > self._room.rows:
            self._room = Room(self._shape, rows)
        room, vector, began = self._room, self._vector, perf_counter_ns()
        room.put(minibatch.observations)
        self._passes.forward(room.nets, vector, room.work, rows, room.panel)
        self._phases.forward += perf_counter_ns() - began
        if self._config.objective == "adaptive-kl" or minibatch.masks is not None:
            self._loss_by_numpy(room.heads(rows), minibatch, beta, stats)
        else:
            self._compiled_loss(room.heads(rows), minibatch, stats)
        began = perf_counter_ns()
        self._passes.backward(room.nets, vector, self._grad, room.work, room.gradients, rows, room.panel)
        self._phases.backward += perf_counter_ns() - began
        return self._grad

    def epoch(self, batch: Batch, rng: Generator, rates: Rates, beta: float, stats: Stats | None) -> None:
        """See base.Gradient: one call where nothing of a step is left to numpy."""
        if self._config.objective == "adaptive-kl" or batch.masks is not None or not self._ready():
            super().epoch(batch, rng, rates, beta, stats)
            return
        columns = [batch.column(name) for name in ("actions", "log_probs", "advantages", "returns", "values")]
        rows = self._losses.Rows(columns[0].reshape(batch.size, -1), *columns[1:])
        self._epoch(self._room, rows, batch.rows, rng.permutation(batch.size), self._sizes.of(rates), stats)

    def _epoch(self, room: Room, rows: Any, observations: Array, order: Array, sizes: F32, stats: Stats | None) -> None:
        """Take the steps of an epoch; `order` says which rows and in which order."""
        epochs, minibatch, began = self._epochs, self._config.minibatch, perf_counter_ns()
        networks = epochs.Networks(
            room.nets, self._vector, self._grad, room.work, room.panel, room.ends, room.gradients, room.wide
        )
        told = epochs.Told(np.zeros(len(self._sums)), np.zeros(3, dtype=np.int64))
        run = epochs.choices if self._choices else epochs.gaussian
        about, settings = (networks, observations, rows, order, minibatch, self._about), self._settings()

        def steps(first: Array, second: Array, limit: float, before: int) -> int:
            moments = epochs.Moments(first, second, limit)
            return int(run(*about, settings, moments, sizes, before, told))

        count, taken = -(-len(order) // minibatch), self._adam.steps_by(steps)
        self._skipped += count - taken
        self._phases.share(perf_counter_ns() - began, told.times.tolist(), count)
        if stats and count:
            stats.weight = count
            stats.add(*(told.means / count).tolist())
            stats.weight = 1.0

    def _compiled_loss(self, heads: tuple[F32, F32, F32, F32], minibatch: Minibatch, stats: Stats | None) -> None:
        rows, actions = len(minibatch.observations), minibatch.actions
        columns = (minibatch.log_probs, minibatch.advantages, minibatch.returns, minibatch.values)
        self._loss(heads, self._losses.Rows(actions.reshape(rows, -1), *columns))
        if stats:
            loss, value, entropy, kl, outside = self._sums.tolist()
            stats.add(loss / rows, value / rows, entropy, kl / rows, outside / rows)

    def _loss(self, heads: tuple[F32, F32, F32, F32], rows: Any) -> None:
        """Write the gradients of the outputs, and the sums that tell of the loss."""
        losses, sums, settings = self._losses, self._sums, self._settings()
        sums[:] = 0.0
        if self._choices:
            losses.choices(losses.Heads(*heads), self._parts, rows, settings, sums)
        else:
            pair = self._network
            losses.gaussian(losses.Heads(*heads), pair.log_std, pair.log_std_gradient, rows, settings, sums)

    def _settings(self) -> Any:
        config = self._config
        clip = self.clip if config.objective == "clip" else np.inf
        reach = np.inf if config.value_clip is None else config.value_clip
        return self._losses.Settings(clip, self.entropy_coef, config.value_coef, reach, config.normalize_advantages)

    def _loss_by_numpy(
        self, heads: tuple[F32, F32, F32, F32], minibatch: Minibatch, beta: float, stats: Stats | None
    ) -> None:
        policy, d_policy, values, d_values = heads
        wide = self._shape.spaces.action
        out = masked(policy[:, :wide].copy(), minibatch.masks)
        d_policy[:, :wide] = self._policy_gradient(minibatch, out, beta, stats)
        d_values[:, 0] = self._value_gradient(minibatch, values[:, 0].copy(), stats)

    def values(self, rows: Array, memories: Memories | None = None) -> Array:
        """See base.Gradient."""
        return self._outputs(rows, net=1, wide=1)[:, 0] if self._ready() else super().values(rows)

    def estimates(self, rows: Array, memories: Memories | None = None) -> tuple[Array, Array]:
        """See base.Gradient."""
        if not self._ready():
            return super().estimates(rows)
        return self._outputs(rows, net=0, wide=self._shape.spaces.action), self.values(rows)

    def _outputs(self, observations: Array, net: int, wide: int) -> Array:
        room, out = self._room, np.empty((len(observations), wide), dtype=np.float32)
        for start in range(0, len(observations), LEAST_ROWS):
            some = observations[start : start + LEAST_ROWS]
            room.put(some)
            self._passes.forward(room.nets[net : net + 1], self._vector, room.work, len(some), room.panel)
            out[start : start + LEAST_ROWS] = room.heads(len(some))[2 * net][:, :wide]
        return out
