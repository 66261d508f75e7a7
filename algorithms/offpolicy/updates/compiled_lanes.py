"""Work of one lane that numba compiles: all of the critics' gradients on some rows, and all of the actor's.

A lane then meets the others at the interpreter's lock two times for each step, and not at every product.
"""

from math import log, pi

import numpy as np

from surreal.algorithms.devices import exact
from surreal.algorithms.offpolicy.compiled_loops import backward, forward
from surreal.algorithms.offpolicy.shape import LOG_STD
from surreal.algorithms.types import F32, Int

LOOPS_DIGEST = "130cdef89059"
"""Begin of the sha256 of compiled_loops.py: numba compiles anew where this file changes, and looks at no other."""
LOWEST, HIGHEST = LOG_STD
LOG_2, HALF_LOG_2PI = np.float32(log(2)), np.float32(0.5 * log(2 * pi))


@exact
def numbers_kept(rows: int, widths: Int) -> int:
    """Return how many outputs the hidden layers have for so many rows."""
    total = 0
    for layer in range(1, len(widths) - 1):
        total += rows * widths[layer]
    return total


@exact
def begin_inputs(observations: F32, inputs: F32) -> None:
    """Write the observations into the first columns of what a critic sees."""
    for row in range(observations.shape[0]):
        for n in range(observations.shape[1]):
            inputs[row, n] = observations[row, n]


@exact
def smoothed_next(sgemm: int, actor: F32, widths: Int, observations: F32, noise: F32, inputs: F32) -> None:
    """See Lanes.smoothed_next."""
    (rows, narrow), width = observations.shape, widths[-1]
    hidden, outputs = np.empty(numbers_kept(rows, widths), np.float32), np.empty((rows, width), np.float32)
    forward(sgemm, actor, widths, observations, hidden, outputs)
    begin_inputs(observations, inputs)
    for row in range(rows):
        for n in range(width):
            action = np.tanh(outputs[row, n])
            if noise.shape[1]:
                action = min(max(action + noise[row, n], np.float32(-1)), np.float32(1))
            inputs[row, narrow + n] = action


@exact
def squash(outputs: F32, noise: F32, inputs: F32, std: F32, log_p: F32) -> None:
    """Write actions tanh(mean + std noise) to the last columns of `inputs`, and their deviations and densities."""
    rows, width = noise.shape
    narrow = inputs.shape[1] - width
    for row in range(rows):
        total = np.float32(0)
        for n in range(width):
            e, log_std = noise[row, n], min(max(outputs[row, width + n], LOWEST), HIGHEST)
            std[row, n] = np.exp(log_std)
            u = outputs[row, n] + std[row, n] * e
            # softplus(-2 u) = log(1 + exp(-2 u)), without an overflow
            t = np.float32(-2) * u
            softplus = max(t, np.float32(0)) + np.log1p(np.exp(-abs(t)))
            total += np.float32(-0.5) * e * e - log_std - HALF_LOG_2PI - np.float32(2) * (LOG_2 - u - softplus)
            inputs[row, narrow + n] = np.tanh(u)
        log_p[row] = total


@exact
def squashed_next(
    sgemm: int, actor: F32, widths: Int, observations: F32, noise: F32, inputs: F32, alpha: float, bonus: F32
) -> None:
    """See Lanes.squashed_next."""
    rows = len(observations)
    hidden, outputs = np.empty(numbers_kept(rows, widths), np.float32), np.empty((rows, widths[-1]), np.float32)
    forward(sgemm, actor, widths, observations, hidden, outputs)
    begin_inputs(observations, inputs)
    squash(outputs, noise, inputs, np.empty(noise.shape, np.float32), bonus)
    for row in range(rows):
        bonus[row] *= -alpha


@exact
def critics_back(
    sgemm: int, critics: F32, targets: F32, widths: Int, inputs: F32, following: F32, given: F32, found: F32, grads: F32
) -> None:
    """See Lanes.critics_back."""
    rows, none = len(inputs), np.empty((0, 0), np.float32)
    hidden, outputs = np.empty(numbers_kept(rows, widths), np.float32), np.empty((rows, 1), np.float32)
    least, slope = np.empty(rows, np.float32), np.empty((rows, 1), np.float32)
    for critic in range(len(targets)):
        forward(sgemm, targets[critic], widths, following, hidden, outputs)
        for row in range(rows):
            value = outputs[row, 0]
            # not a number stays so, as np.minimum has it
            if critic == 0 or value < least[row] or value != value:
                least[row] = value
    for critic in range(len(grads)):
        forward(sgemm, critics[critic], widths, inputs, hidden, outputs)
        for row in range(rows):
            error = outputs[row, 0] - (given[0, row] + given[1, row] * (least[row] + given[3, row]))
            found[0, row] += abs(error)
            found[1, row] = outputs[row, 0]
            slope[row, 0] = error * given[2, row]
        backward(sgemm, critics[critic], widths, inputs, hidden, slope, grads[critic], none)


@exact
def deterministic_actor(
    sgemm: int, actor: F32, widths: Int, critic: F32, critic_widths: Int, observations: F32, scale: float, grads: F32
) -> float:
    """See Lanes.deterministic_actor."""
    (rows, narrow), width, none = observations.shape, widths[-1], np.empty((0, 0), np.float32)
    hidden, outputs = np.empty(numbers_kept(rows, widths), np.float32), np.empty((rows, width), np.float32)
    inputs, slope = np.empty((rows, narrow + width), np.float32), np.empty((rows, narrow + width), np.float32)
    forward(sgemm, actor, widths, observations, hidden, outputs)
    begin_inputs(observations, inputs)
    for row in range(rows):
        for n in range(width):
            inputs[row, narrow + n] = np.tanh(outputs[row, n])
    above, down = np.empty(numbers_kept(rows, critic_widths), np.float32), np.empty((rows, 1), np.float32)
    total = np.float32(0)
    forward(sgemm, critic, critic_widths, inputs, above, down)
    for row in range(rows):
        total -= down[row, 0]
        down[row, 0] = -scale
    backward(sgemm, critic, critic_widths, inputs, above, down, np.empty(0, np.float32), slope)
    for row in range(rows):
        for n in range(width):
            action = inputs[row, narrow + n]
            outputs[row, n] = slope[row, narrow + n] * (np.float32(1) - action * action)
    backward(sgemm, actor, widths, observations, hidden, outputs, grads, none)
    return float(total)


@exact
def some_rows(hidden: F32, widths: Int, rows: int, own: Int, part: F32) -> None:
    """Copy the outputs of the hidden layers for some of the rows."""
    at = to = 0
    for layer in range(1, len(widths) - 1):
        for row in own:
            for n in range(widths[layer]):
                part[to + n] = hidden[at + row * widths[layer] + n]
            to += widths[layer]
        at += rows * widths[layer]


@exact
def slope_of_smaller(sgemm: int, critics: F32, widths: Int, inputs: F32, scale: float, slope: F32, least: F32) -> None:
    """Write min_i Q_i to `least` [rows], and -scale times its slope by the inputs: each row's smaller critic's."""
    rows, number = len(inputs), len(critics)
    hidden, values = np.empty((number, numbers_kept(rows, widths)), np.float32), np.empty((rows, 1), np.float32)
    chosen = np.zeros(rows, np.int64)
    for critic in range(number):
        forward(sgemm, critics[critic], widths, inputs, hidden[critic], values)
        for row in range(rows):
            if critic == 0 or values[row, 0] < least[row]:
                chosen[row], least[row] = critic, values[row, 0]
    for critic in range(number):
        own, count = np.empty(rows, np.int64), 0
        for row in range(rows):
            if chosen[row] == critic:
                own[count], count = row, count + 1
        part, found = np.empty(numbers_kept(count, widths), np.float32), np.empty((count, widths[0]), np.float32)
        some_rows(hidden[critic], widths, rows, own[:count], part)
        down = np.empty((count, 1), np.float32)
        for n in range(count):
            down[n, 0] = -scale
        backward(sgemm, critics[critic], widths, inputs[:count], part, down, np.empty(0, np.float32), found)
        for n in range(count):
            for column in range(widths[0]):
                slope[own[n], column] = found[n, column]


@exact
def gaussian_actor(
    sgemm: int,
    actor: F32,
    widths: Int,
    critics: F32,
    critic_widths: Int,
    observations: F32,
    noise: F32,
    alpha: float,
    scale: float,
    grads: F32,
) -> tuple[float, float]:
    """See Lanes.gaussian_actor."""
    (count, narrow), width, none = observations.shape, noise.shape[1], np.empty((0, 0), np.float32)
    hidden, outputs = np.empty(numbers_kept(count, widths), np.float32), np.empty((count, 2 * width), np.float32)
    forward(sgemm, actor, widths, observations, hidden, outputs)
    inputs, slope = np.empty((count, narrow + width), np.float32), np.empty((count, narrow + width), np.float32)
    std, log_p, least = np.empty(noise.shape, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    begin_inputs(observations, inputs)
    squash(outputs, noise, inputs, std, log_p)
    slope_of_smaller(sgemm, critics, critic_widths, inputs, scale, slope, least)
    loss = entropy = np.float32(0)
    for row in range(count):
        loss, entropy = loss + (alpha * log_p[row] - least[row]), entropy - log_p[row]
        for n in range(width):
            action, raw = inputs[row, narrow + n], outputs[row, width + n]
            d_u = slope[row, narrow + n] * (np.float32(1) - action * action) + np.float32(2) * alpha * scale * action
            outputs[row, n], outputs[row, width + n] = d_u, np.float32(0)
            if LOWEST < raw < HIGHEST:
                outputs[row, width + n] = d_u * std[row, n] * noise[row, n] - alpha * scale
    backward(sgemm, actor, widths, observations, hidden, outputs, grads, none)
    return float(loss), float(entropy)


def compile_all(sgemm: int) -> None:
    """Have all of them compiled, or loaded from the disk, by calls that mean nothing."""
    number, sizes = np.float32(1.0), (np.array([2, 3, 2]), np.array([3, 3, 1]), np.array([2, 3, 1]))
    rows, noise, inputs = (np.zeros((4, width), np.float32) for width in (2, 1, 3))
    gaussian, critics, deterministic = (np.zeros(size, np.float32) for size in (17, (2, 16), 13))
    smoothed_next(sgemm, deterministic, sizes[2], rows, noise, inputs)
    squashed_next(sgemm, gaussian, sizes[0], rows, noise, inputs, number, np.zeros(4, np.float32))
    found, given, grads = np.zeros((2, 4), np.float32), np.zeros((4, 4), np.float32), critics.copy()
    critics_back(sgemm, critics, critics.copy(), sizes[1], inputs, inputs.copy(), given, found, grads)
    deterministic_actor(sgemm, deterministic, sizes[2], critics[0], sizes[1], rows, number, deterministic.copy())
    gaussian_actor(sgemm, gaussian, sizes[0], critics, sizes[1], rows, noise, number, number, gaussian.copy())
