"""An epoch of PPO's steps as one loop that numba compiles: what `compiled` does for each minibatch, without Python."""

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import types

from surreal.algorithms import devices
from surreal.algorithms.devices import kept
from surreal.algorithms.models import optimizers
from surreal.algorithms.models.byhand import convolution, loops, vectors
from surreal.algorithms.models.byhand.loops import adam
from surreal.algorithms.ppo.gradients import losses, passes
from surreal.algorithms.ppo.gradients.losses import ENTROPY, Heads, Rows, Settings
from surreal.algorithms.ppo.gradients.passes import backward, forward
from surreal.algorithms.types import F32, F64, Int

FORWARD, BACKWARD, OPTIMIZER = range(3)
"""Places of the phases among the times of an epoch."""
clock = types.ExternalFunction("clock", types.int64())
"""C's clock: CPU time of this process."""


class Networks(NamedTuple):
    """Parameters, and where the passes find everything; see compiled.Room."""

    nets: Int
    vector: F32
    gradient: F32
    work: F32
    panel: F32
    ends: Int
    """[2, 3]: place of the outputs, their padded width, place of their gradient; of policy and values."""
    gradients: Int
    wide: int
    """Padded width of an observation."""


class Moments(NamedTuple):
    """State of Adam, and the largest norm of a gradient."""

    first: F32
    second: F32
    limit: float


class Told(NamedTuple):
    """Sums over the minibatches of an epoch, to add to."""

    means: F64
    """Means of a minibatch, in the order of the places in losses.py."""
    times: Int
    """Ticks of `clock` in each phase."""


def _digest() -> int:
    """Return a number that the files of the inner loops have: numba keeps a loop until its own file changes."""
    modules = (passes, losses, loops, vectors, optimizers, convolution, devices)
    files = [Path(str(module.__file__)).read_bytes() for module in modules]
    return int.from_bytes(sha256(b"".join(files)).digest()[:6])


@kept
def gather(networks: Networks, observations: F32, columns: Rows, chosen: Int, some: Rows) -> None:
    """Copy the chosen rows: observations to where both networks begin, columns to those of a minibatch."""
    wide = networks.wide
    for row in range(len(chosen)):
        source, line = observations[chosen[row]], networks.work[row * wide : (row + 1) * wide]
        for n in range(len(source)):
            line[n] = source[n]
        some.actions[row] = columns.actions[chosen[row]]
        some.before[row] = columns.before[chosen[row]]
        some.advantages[row] = columns.advantages[chosen[row]]
        some.returns[row] = columns.returns[chosen[row]]
        some.values[row] = columns.values[chosen[row]]


@kept
def heads_of(work: F32, ends: Int, rows: int) -> Heads:
    """Return the outputs of both networks for some rows, and the places of their gradients."""
    return Heads(
        work[ends[0, 0] : ends[0, 0] + rows * ends[0, 1]].reshape(rows, ends[0, 1]),
        work[ends[0, 2] : ends[0, 2] + rows * ends[0, 1]].reshape(rows, ends[0, 1]),
        work[ends[1, 0] : ends[1, 0] + rows * ends[1, 1]].reshape(rows, ends[1, 1]),
        work[ends[1, 2] : ends[1, 2] + rows * ends[1, 1]].reshape(rows, ends[1, 1]),
    )


@kept
def first_of(some: Rows, rows: int) -> Rows:
    """Return the first rows of a minibatch; all but the last of an epoch are full."""
    return Rows(
        some.actions[:rows], some.before[:rows], some.advantages[:rows], some.returns[:rows], some.values[:rows]
    )


@kept
def room(columns: Rows, minibatch: int) -> Rows:
    """Return room for the columns of a minibatch."""
    numbers = np.empty((4, minibatch), np.float32)
    actions = np.empty((minibatch, columns.actions.shape[1]), columns.actions.dtype)
    return Rows(actions, numbers[0], numbers[1], numbers[2], numbers[3])


def _epoch_of(stamp: int, by_parts: bool) -> Any:
    """Return the loop for one kind of action. What numba keeps is told apart by `stamp`, which is part of the loop.

    No loop may be: numba tells a function apart from that of another process, and would compile in each.
    """

    def epoch(
        networks: Networks,
        observations: F32,
        columns: Rows,
        order: Int,
        minibatch: int,
        about: Any,
        settings: Settings,
        moments: Moments,
        rates: F32,
        steps: int,
        told: Told,
    ) -> int:
        nets, vector, gradient, work, panel, ends, gradients, _ = networks
        some, sums, taken = room(columns, minibatch), np.zeros(len(told.means)), steps if stamp else 0
        for start in range(0, len(order), minibatch):
            began, chosen = clock(), order[start : start + minibatch]
            gather(networks, observations, columns, chosen, some)
            forward(nets, vector, work, len(chosen), panel)
            passed, heads, part = clock(), heads_of(work, ends, len(chosen)), first_of(some, len(chosen))
            sums[:] = 0.0
            if by_parts:
                losses.choices(heads, about, part, settings, sums)
            else:
                own = slice(about[0], about[1])
                losses.gaussian(heads, vector[own], gradient[own], part, settings, sums)
            backward(nets, vector, gradient, work, gradients, len(chosen), panel)
            turned = clock()
            for n in range(len(sums)):
                told.means[n] += sums[n] if n == ENTROPY else sums[n] / len(chosen)
            taken += adam(vector, gradient, moments.first, moments.second, moments.limit, rates, taken + 1)
            told.times[FORWARD] += passed - began
            told.times[BACKWARD] += turned - passed
            told.times[OPTIMIZER] += clock() - turned
        return taken

    return kept(epoch)


gaussian = _epoch_of(_digest(), False)
"""Epoch for actions that are numbers; `about` [2] are the first and the end of log_std in the parameters."""
choices = _epoch_of(_digest(), True)
"""Epoch for choices; `about` are the choices of each part."""
