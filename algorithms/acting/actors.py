"""Parts of an actor: its environments and generator, the returns of its episodes, and fragments that are refused."""

from collections.abc import Callable
from logging import getLogger

import numpy as np

from surreal.algorithms.datasets.writing.actors import recording_of
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import View
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.limits import NotFiniteError
from surreal.protocol.wiring import Wiring

log = getLogger(__name__)


def environments_of(wiring: Wiring, view: View = "features") -> tuple[VectorEnvironments, np.random.Generator]:
    """Return the copies that an actor steps, as `spec.env` says, and a generator of its own."""
    env = wiring.env
    # One seed sequence per (actor, start): a restarted actor must not replay the episodes of the dead one.
    env_seed, own_seed = np.random.SeedSequence([wiring.seed, 1, wiring.index, wiring.start]).spawn(2)
    around = recording_of(wiring)
    envs = VectorEnvironments(
        lambda: make_env(env, wiring.code, view, around=around),
        int(env["copies"]),
        int(env_seed.generate_state(1)[0]),
        env.get("stepping", "auto"),
    )
    return envs, np.random.default_rng(own_seed)


class EpisodeReturns:
    """Returns and lengths of episodes that go on from fragment to fragment."""

    def __init__(self, copies: int) -> None:
        self._return, self._length = np.zeros(copies), np.zeros(copies, dtype=np.int64)

    def clear(self) -> None:
        """Forget the episodes under way."""
        self._return[:], self._length[:] = 0.0, 0

    def ended(self, rewards: Array, done: Array) -> tuple[Array, Array]:
        """Return the returns, float64, and lengths, int64, of the episodes that ended within a fragment, in order.

        `rewards` and `done` are [steps, copies].
        """
        steps, copies = done.shape
        ended: list[tuple[int, float, int]] = []
        for copy in range(copies):
            start = 0
            for t in np.flatnonzero(done[:, copy]):
                total = self._return[copy] + rewards[start : t + 1, copy].sum(dtype=np.float64)
                ended.append((int(t), float(total), int(self._length[copy] + t + 1 - start)))
                self._return[copy], self._length[copy], start = 0.0, 0, int(t) + 1
            self._return[copy] += rewards[start:, copy].sum(dtype=np.float64)
            self._length[copy] += steps - start
        ended.sort()
        totals, lengths = [total for _, total, _ in ended], [length for _, _, length in ended]
        return np.array(totals, dtype=np.float64), np.array(lengths, dtype=np.int64)


class Refusals:
    """Fragments that hold NaN or infinity: counted and dropped, since they would poison the learner."""

    def __init__(self, environment: str, most: int, restart: Callable[[], None]) -> None:
        """Take `most` in a row as the sign of a broken `environment`; `restart` begins new episodes."""
        self._environment, self._most, self._restart = environment, most, restart
        self.total = self._in_a_row = 0

    def sent(self) -> None:
        """Note a fragment that was sent."""
        self._in_a_row = 0

    def refuse(self, why: NotFiniteError) -> None:
        """Begin new episodes. Raises Fatal where that has not helped for many fragments in a row."""
        self.total += 1
        self._in_a_row += 1
        broken = f"environment {self._environment!r} is broken: {why}"
        if self._in_a_row >= self._most:
            raise Fatal(f"{broken}, and so were {self._most} fragments in a row. Return finite numbers.")
        log.warning("%s; fragment refused, environments reset with new seeds (%d so far)", broken, self.total)
        self._restart()
