"""MinAtar through the whole acting path."""

from importlib.util import find_spec

import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env
from tests.algorithms.environments.suites import play

# not importorskip: its import brings seaborn and pandas into every process that only collects
pytestmark = pytest.mark.skipif(not find_spec("minatar"), reason="needs pip install 'surreal[minatar]'")


@pytest.mark.parametrize(("name", "channels", "choices"), [("Breakout", 4, 3), ("SpaceInvaders", 6, 4)])
def test_a_game_keeps_its_flags_as_flags(name: str, channels: int, choices: int) -> None:
    env = make_env(f"MinAtar/{name}-v1", view="auto")
    leaf = env.spaces.leaves[""]
    assert (leaf.shape, leaf.dtype, leaf.image) == ((10, 10, channels), np.dtype(bool), True)
    assert env.spaces.choices == (choices,)
    seen, rewards, ends = play(env, 300)
    assert seen[0].dtype == np.bool_ and rewards.sum() > 0
    assert any(terminated for terminated, _ in ends)


def test_a_seed_begins_the_same_episode_whatever_was_played_before() -> None:
    # MinAtar itself carries the last action over a reset, so that about one seed in ten gives another episode.
    env = make_env("MinAtar/Asterix-v1", view="auto")
    first = [play(env, 10, seed)[0] for seed in range(40)]
    again = [play(env, 10, seed)[0] for seed in reversed(range(40))][::-1]
    assert all((a == b).all() for one, other in zip(first, again, strict=True) for a, b in zip(one, other, strict=True))
