"""Running statistics that the learner owns: of observations, and of discounted returns to scale rewards by.

They change only between updates and travel with the weights of the same version. At staleness zero actor and learner
thus see the same number for the same observation; for an older fragment the learner's statistics are the newer ones.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.types import Array, narrowed
from surreal.protocol.documents.effects import shown
from surreal.protocol.errors import Fatal

CLIP = 10.0
EPSILON = 1e-8
ROUNDING = 1e-14
"""Standard deviation, as a share of the mean, that rounding may give a feature which never changed."""


class RunningMoments:
    """Mean and variance of all rows ever seen, in float64 (Chan et al. 1983, pairwise update)."""

    def __init__(self, size: int) -> None:
        self.mean = np.zeros(size)
        self.variance = np.ones(size)
        self.count = 0.0

    def update(self, rows: Array) -> None:
        """Take in `rows` [n, size]."""
        if not len(rows):
            return
        self.merge(rows.mean(axis=0, dtype=np.float64), rows.var(axis=0, dtype=np.float64), len(rows))

    def merge(self, mean: Array, variance: Array, n: int) -> None:
        """Take in `n` > 0 rows of which only `mean` and `variance` [size] are known."""
        total = self.count + n
        delta = mean - self.mean
        squares = self.variance * self.count + variance * n + delta**2 * self.count * n / total
        self.mean = self.mean + delta * n / total
        self.variance = squares / total
        self.count = total

    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs."""
        return {"mean": self.mean, "variance": self.variance, "count": np.array([self.count])}

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""
        self.mean, self.variance = arrays["mean"].copy(), arrays["variance"].copy()
        self.count = float(arrays["count"][0])


class Standardizer:
    """(x - shift) * scale within +-clip: the part of the observation statistics that acting needs.

    Large features keep float64 until the shift is off them, so that a clock in seconds does not lose its seconds.
    """

    def __init__(self, shift: Array, scale: Array, clip: float = CLIP) -> None:
        self.shift, self.scale, self.clip = shift, scale, clip

    @classmethod
    def identity(cls, size: int) -> "Standardizer":
        """Return the one that changes nothing, for observations that are not to be normalized."""
        return cls(np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32), np.inf)

    @classmethod
    def load(cls, arrays: Mapping[str, Array]) -> "Standardizer":
        """Return what `arrays` was called on."""
        return cls(arrays["shift"], arrays["scale"], float(arrays["clip"][0]))

    def arrays(self) -> dict[str, Array]:
        """Return everything `load` needs."""
        return {"shift": self.shift, "scale": self.scale, "clip": np.array([self.clip], dtype=np.float32)}

    @classmethod
    def of(cls, moments: RunningMoments) -> "Standardizer":
        """Return the present statistics; the identity before anything was seen.

        A feature that never changed keeps its scale: its first small change would be blown up to the clip otherwise.
        """
        constant = np.sqrt(moments.variance) <= ROUNDING * np.abs(moments.mean)
        scale = np.where(constant, 1.0, 1.0 / np.sqrt(moments.variance + EPSILON))
        return cls(narrowed(moments.mean), scale.astype(np.float32))

    def __call__(self, observations: Array) -> Array:
        """Map observations [..., size], float32 or float64, to standardised float32, within the clip."""
        x = observations - self.shift
        x *= self.scale
        if self.clip < np.inf:
            np.minimum(np.maximum(x, -self.clip, out=x), self.clip, out=x)
        return np.asarray(x, dtype=np.float32)


def standardizes(arrays: Mapping[str, Array]) -> bool:
    """Return True where the policy in the arrays of a checkpoint sees standardised observations."""
    return bool(np.isfinite(arrays["clip"][0]))


def refuse_another_scale(key: str, had: Any, has: Any) -> None:
    """Raise Fatal where networks learned with the value `had` of a key, and would see numbers of another scale now."""
    if had != has:
        text = f"the checkpoint learned with {shown(had)}, and its networks know no other numbers"
        raise Fatal(f"spec.algorithm.config.{key}: {text}. Set {key}: {shown(had)}, or begin a new run.")


def standardized_size(spaces: Spaces) -> int:
    """Return the number of entries of an observation that statistics are kept of."""
    return sum(leaf.size for leaf in spaces.leaves.values() if leaf.standardized)


def numbers_of(rows: Rows, spaces: Spaces) -> Array:
    """Return the entries [n, size] of observations [..., leaf] that statistics are kept of."""
    leaves = spaces.leaves
    if not isinstance(rows, dict):
        rows = {"": rows}
    found = [rows[name].reshape(-1, leaf.size) for name, leaf in leaves.items() if leaf.standardized]
    return np.concatenate(found, axis=-1) if found else np.empty((0, 0))


def over_leaves(standardize: Standardizer, spaces: Spaces) -> Callable[[Rows], Rows]:
    """Return `standardize` as a function of observations [..., leaf]: other leaves than numbers pass as they are."""
    if spaces.view == "features":
        return standardize
    each: dict[str, Standardizer] = {}
    start = 0
    for name, leaf in spaces.leaves.items():
        if leaf.standardized:
            cut = slice(start, start := start + leaf.size)
            shift, scale = standardize.shift[cut].reshape(leaf.shape), standardize.scale[cut].reshape(leaf.shape)
            each[name] = Standardizer(shift, scale, standardize.clip)
    if "" in spaces.leaves:
        return each.get("", lambda rows: rows)
    return lambda rows: {name: each[name](array) if name in each else array for name, array in rows.items()}


def _turns(sources: Sequence[str]) -> list[list[int]]:
    """Return the numbers of the first fragments of all sources, then of the second ones, and so on."""
    turns: list[list[int]] = []
    counts: Counter[str] = Counter()
    for number, source in enumerate(sources):
        if counts[source] == len(turns):
            turns.append([])
        turns[counts[source]].append(number)
        counts[source] += 1
    return turns


CENTRE_RATE = 0.1
"""Weight of a batch in the mean reward of late."""


class RewardScaler:
    """Divides rewards by the running standard deviation of the discounted return (Engstrom et al. 2020, sec. 3).

    Rewards may be centred before, by the mean of late (Naik et al. 2024): returns of a far horizon are then no longer a
    large number that all states have in common. Only where no action ends an episode does that leave all as it was.
    A mean below zero stays: where all that is known costs, what is not known looks better, and is sought.
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma
        self.centred = False
        self.mean = 0.0
        self.moments = RunningMoments(1)
        self._running: dict[str, Array] = {}

    def update(self, source: str, rewards: Array, done: Array) -> None:
        """Take in one fragment's rewards and episode ends [steps, copies] of the actor `source`."""
        self.moments.update(*self.discounted([source], [rewards], [done]))

    def discounted(self, sources: Sequence[str], rewards: Sequence[Array], done: Sequence[Array]) -> list[Array]:
        """Return the discounted return after each step [steps * copies, 1] of fragments of the actors `sources`.

        `rewards` and `done` [steps, copies] are of as many steps in all fragments; those of one actor are in order.
        """
        found: list[Array] = [np.empty(0)] * len(sources)
        for turn in _turns(sources):
            own = [sources[n] for n in turn], [rewards[n] for n in turn], [done[n] for n in turn]
            for number, returns in zip(turn, self._side_by_side(*own), strict=True):
                found[number] = returns
        return found

    def _side_by_side(self, sources: list[str], rewards: list[Array], done: list[Array]) -> list[Array]:
        """Return what `discounted` does for one fragment of each actor."""
        copies = [each.shape[1] for each in rewards]
        running = np.concatenate([self._before(*each) for each in zip(sources, copies, strict=True)])
        together, ends = np.concatenate(rewards, axis=1) - self.centre, ~np.concatenate(done, axis=1)
        returns = np.empty(together.shape)
        for t in range(len(together)):
            running = running * self.gamma + together[t]
            returns[t] = running
            running = running * ends[t]
        cuts = np.cumsum(copies)[:-1]
        self._running |= zip(sources, np.split(running, cuts), strict=True)
        return [each.reshape(-1, 1) for each in np.split(returns, cuts, axis=1)]

    def _before(self, source: str, copies: int) -> Array:
        """Return the discounted returns [copies] before a fragment."""
        running = self._running.get(source)
        return np.zeros(copies) if running is None or len(running) != copies else running

    def forget(self, source: str) -> None:
        """Forget `source`, whose environments have begun anew."""
        self._running.pop(source, None)

    @property
    def centre(self) -> float:
        """Number that is subtracted from rewards."""
        return max(self.mean, 0.0) if self.centred else 0.0

    def follow(self, mean: float, batches: int) -> None:
        """Take in the mean reward of a batch, before which there were `batches`."""
        self.mean += max(CENTRE_RATE, 1 / (batches + 1)) * (mean - self.mean)

    def __call__(self, rewards: Array) -> Array:
        """Map rewards to scaled float32 within +-10."""
        scaled = (rewards - self.centre) / np.sqrt(self.moments.variance[0] + EPSILON)
        return np.asarray(np.clip(scaled, -CLIP, CLIP), dtype=np.float32)
