"""Loops over the numbers of a layer or a vector, beside the matrix products: by numpy, or compiled by numba.

Both give the same bits. A pass over 256 rows of 256 numbers takes numpy 10 to 30 us, and several of them follow each
product; compiled, they are one.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from surreal.algorithms.types import F32, Int

CHUNK = 16_384
"""Numbers of a vector that numpy goes over at once: they stay in a core's cache."""
Number = np.float32


class Passes(NamedTuple):
    """Passes through a whole network without layer norms, of all its `widths`. Sums of products round in another order
    than numpy's where there is a single output.
    """

    forward: Callable[[F32, Int, F32, F32, F32], None]
    """(vector, widths, x [rows, in], hidden, outputs [rows, out]): write the outputs, and those of the hidden layers,
    one after another, to `hidden`."""
    backward: Callable[[F32, Int, F32, F32, F32, F32, F32], None]
    """(vector, widths, x, hidden, d, grads, to_input): write the gradients from `d` [rows, out] to `grads` [size] and
    `to_input` [rows, in], each empty where it is not wanted."""


class LaneLoops(NamedTuple):
    """All work of a lane on its rows in one call. Critics and targets are [critics, size], others flat vectors."""

    smoothed_next: Callable[..., None]
    """(actor, widths, next observations, noise or [rows, 0], inputs): write what target critics see: next observations
    and clip(tanh(actor) + noise)."""
    squashed_next: Callable[..., None]
    """(actor, widths, next observations, noise, inputs, alpha, bonus [rows]): the same for drawn actions, and -alpha
    log p to `bonus`."""
    critics_back: Callable[..., None]
    """(critics, targets, widths, inputs, following, given [4, rows], found [2, rows], grads [critics, size]): write the
    gradients of the squared errors; given: rewards, discounts, weights x scale, bonus; found: errors, values."""
    deterministic_actor: Callable[..., float]
    """(actor, widths, critic, its widths, observations, scale, grads): write the gradient of -Q; return its sum."""
    gaussian_actor: Callable[..., tuple[float, float]]
    """(actor, widths, critics, their widths, observations, noise, alpha, scale, grads): write the gradient of alpha log
    p - min Q; return the sums of this and of the entropy."""


class Loops(NamedTuple):
    """One way to compute all of them. Each works in place on C-contiguous float32, and frees the interpreter's lock."""

    biased_relu: Callable[[F32, F32], None]
    """(x [rows, width], bias [width]): x becomes max(x + bias, 0)."""
    through_relu: Callable[[F32, F32, F32], None]
    """(d, y [rows, width], sums [width] or empty): d becomes 0 where y is not above 0; its column sums go to `sums`."""
    spread_through_relu: Callable[[F32, F32, F32, F32, F32], None]
    """(slope [rows], weight [width], y, d [rows, width], sums): the same for d = slope x weight, which it writes."""
    adam: Callable[[F32, F32, F32, F32, Number, Number, Number, Number], None]
    """(vector, gradient, sum1, sum2, beta1, beta2, tiny, size): take gradient and square into the sums, then step."""
    follow: Callable[[F32, F32, Number], None]
    """(target, vector, share): move `target` by `share` of the way to `vector`."""
    passes: Passes | None = None
    """None where BLAS is not to be had for compiled code."""
    lanes: LaneLoops | None = None
    """None, too, in a run too short to compile them."""


def _biased_relu(x: F32, bias: F32) -> None:
    x += bias
    np.maximum(x, np.float32(0.0), out=x)


def _through_relu(d: F32, y: F32, sums: F32) -> None:
    d *= y > 0
    if len(sums):
        np.sum(d, axis=0, out=sums)


def _spread_through_relu(slope: F32, weight: F32, y: F32, d: F32, sums: F32) -> None:
    np.multiply(slope[:, None], weight, out=d)
    _through_relu(d, y, sums)


def _adam(
    vector: F32, gradient: F32, sum1: F32, sum2: F32, beta1: Number, beta2: Number, tiny: Number, size: Number
) -> None:
    for start in range(0, len(vector), CHUNK):
        part = slice(start, start + CHUNK)
        g, first, second = gradient[part], sum1[part], sum2[part]
        first *= beta1
        first += g
        second *= beta2
        second += g * g
        step = np.sqrt(second)
        step += tiny
        np.divide(first, step, out=step)
        step *= size
        vector[part] -= step


def _follow(target: F32, vector: F32, share: Number) -> None:
    for start in range(0, len(target), CHUNK):
        part = target[start : start + CHUNK]
        part += share * (vector[start : start + CHUNK] - part)


NUMPY = Loops(_biased_relu, _through_relu, _spread_through_relu, _adam, _follow)
