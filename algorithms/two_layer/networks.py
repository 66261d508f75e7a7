"""Networks of two layers on Gaussian inputs: teachers, recovery by moments and refinement, and linear fits beside them.

A teacher is f(x) = sum_i v_i sigma(w_i^T x): k orthonormal directions w_i in R^d, sigma(z) = z^2 or max(z, 0). For x of
N(0, I) the matrix E[f(x) (x x^T - I)] is a sum of v_i w_i w_i^T up to a factor (Stein 1981). Its k leading
eigenvectors span the directions, and Levenberg-Marquardt refines all parameters from there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from surreal.algorithms.types import F64

Kind = Literal["quadratic", "relu"]
RESTARTS, STEPS = 3, 20
"""Starts of the refinement, of which the best counts, and steps of each."""
DAMPING = 1e-2


@dataclass(frozen=True)
class TwoLayer:
    """A network: calling it maps inputs [n, d] to values [n]."""

    kind: Kind
    directions: F64
    """w [k, d]."""
    weights: F64
    """v [k]."""
    offset: float = 0.0

    def __call__(self, x: F64) -> F64:
        """Return the values of the inputs."""
        return np.asarray(activation(self.kind, x @ self.directions.T) @ self.weights + self.offset)


def activation(kind: Kind, z: F64) -> F64:
    """Return sigma of the products."""
    return np.square(z) if kind == "quadratic" else np.maximum(z, 0.0)


def slope(kind: Kind, z: F64) -> F64:
    """Return sigma' of the products."""
    return 2 * z if kind == "quadratic" else (z > 0).astype(np.float64)


def teacher(kind: Kind, d: int, k: int, rng: np.random.Generator) -> TwoLayer:
    """Return a random teacher: orthonormal directions, weights within 0.5 to 1.5 of either sign."""
    directions = np.linalg.qr(rng.standard_normal((d, k)))[0].T
    return TwoLayer(kind, directions, rng.uniform(0.5, 1.5, k) * rng.choice([-1.0, 1.0], k))


def recover(kind: Kind, k: int, x: F64, y: F64, rng: np.random.Generator) -> TwoLayer:
    """Return a network of k units fitted to inputs x [n, d] of N(0, I) and values y [n]."""
    span = moments(x, y, k)
    starts = [_fitted(kind, _rotation(k, rng) @ span, x, y) for _ in range(RESTARTS)]
    return min((refine(each, x, y) for each in starts), key=lambda each: float(np.mean((each(x) - y) ** 2)))


def moments(x: F64, y: F64, k: int) -> F64:
    """Return orthonormal rows [k, d] that span the directions: leading eigenvectors of mean (y - mean y)(x x^T - I)."""
    centred = y - y.mean()
    matrix = (x * centred[:, None]).T @ x / len(y) - centred.mean() * np.eye(x.shape[1])
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors[:, np.argsort(-np.abs(values))[:k]].T)


def refine(network: TwoLayer, x: F64, y: F64) -> TwoLayer:
    """Return the network after STEPS steps of Levenberg-Marquardt on all its parameters."""
    found, damping = network, DAMPING
    error = float(np.mean((found(x) - y) ** 2))
    for _ in range(STEPS):
        z = x @ found.directions.T
        by_direction = (slope(found.kind, z) * found.weights)[:, :, None] * x[:, None, :]
        jacobian = np.concatenate(
            [by_direction.reshape(len(x), -1), activation(found.kind, z), np.ones((len(x), 1))], axis=1
        )
        square = jacobian.T @ jacobian
        square[np.diag_indices_from(square)] *= 1 + damping
        square[np.diag_indices_from(square)] += 1e-9 * len(x)
        step = np.linalg.solve(square, jacobian.T @ (y - found(x)))
        k, d = found.directions.shape
        moved = TwoLayer(
            found.kind,
            found.directions + step[: k * d].reshape(k, d),
            found.weights + step[k * d : -1],
            found.offset + float(step[-1]),
        )
        tried = float(np.mean((moved(x) - y) ** 2))
        if abs(tried - error) < 1e-7 * error:
            break
        if tried < error:
            found, error, damping = moved, tried, damping / 3
        else:
            damping *= 4
    return found


def linear(x: F64, y: F64) -> Callable[[F64], F64]:
    """Return the least-squares fit that is linear in the inputs, with an offset."""
    return _least_squares(_with_one, x, y)


def lift(x: F64, y: F64) -> Callable[[F64], F64]:
    """Return the least-squares fit in all products of two inputs: d (d + 1) / 2 parameters."""
    return _least_squares(_products, x, y)


def normalised_error(fit: Callable[[F64], F64], truth: TwoLayer, x: F64) -> float:
    """Return mean (fit - truth)^2 over the variance of the truth: 1 for a fit no better than the mean."""
    y = truth(x)
    return float(np.mean((fit(x) - y) ** 2) / y.var())


def _least_squares(features: Callable[[F64], F64], x: F64, y: F64) -> Callable[[F64], F64]:
    found = np.linalg.lstsq(features(x), y, rcond=None)[0]
    return lambda other: np.asarray(features(other) @ found)


def _with_one(x: F64) -> F64:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def _products(x: F64) -> F64:
    first, second = np.triu_indices(x.shape[1])
    return _with_one(np.concatenate([x, x[:, first] * x[:, second]], axis=1))


def _fitted(kind: Kind, directions: F64, x: F64, y: F64) -> TwoLayer:
    """Return the network of given directions whose weights are the least-squares fit."""
    found = np.linalg.lstsq(_with_one(activation(kind, x @ directions.T)), y, rcond=None)[0]
    return TwoLayer(kind, directions, np.asarray(found[:-1], np.float64), float(found[-1]))


def _rotation(k: int, rng: np.random.Generator) -> F64:
    return np.asarray(np.linalg.qr(rng.standard_normal((k, k)))[0])
