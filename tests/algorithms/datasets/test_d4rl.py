"""Files of D4RL's shape: transitions never cross a cut."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.datasets.episode import DamagedError
from surreal.algorithms.datasets.opening import open_dataset
from tests.algorithms.datasets.made import d4rl


def _all(path: Path) -> list[Any]:
    found = open_dataset(str(path))
    return sorted((read() for read in found.episodes(0, 1, np.random.default_rng(1))), key=lambda each: each.place)


def test_without_next_observations_the_last_step_of_a_cut_episode_is_left_out(tmp_path: Path) -> None:
    first, second, third = _all(d4rl(tmp_path / "x.hdf5"))
    assert first.observations.tolist() == [[0, 0], [0, 1], [0, 2]]
    assert first.rewards.tolist() == [0, 1]
    assert (second.terminated, len(second)) == (True, 4)
    assert second.observations[-2].tolist() == second.observations[-1].tolist() == [1, 3]
    assert (third.truncated, third.rewards.tolist()) == (True, [7])


@pytest.mark.parametrize("timeouts", [True, False])
def test_with_next_observations_every_step_counts_and_cuts_are_found(tmp_path: Path, timeouts: bool) -> None:
    path = d4rl(tmp_path / "x.hdf5", following=True, **({} if timeouts else {"timeouts": None}))
    found = _all(path)
    assert [len(each) for each in found] == [3, 4, 2]
    assert found[0].observations[-1].tolist() == [0, 3]
    assert [each.terminated for each in found] == [False, True, False]
    assert open_dataset(str(path)).lengths(0, 1) == [3, 4, 2]


def test_missing_keys_and_unequal_lengths_are_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match=r"x.hdf5: there is no array 'rewards'. It has: actions, observations"):
        open_dataset(str(d4rl(tmp_path / "x.hdf5", rewards=None)))
    with pytest.raises(DamagedError, match="its arrays differ in length"):
        open_dataset(str(d4rl(tmp_path / "y.hdf5", rewards=np.zeros(4))))


SPOILED: dict[str, tuple[dict[str, Any], str]] = {
    "one number": ({"rewards": np.float32(3)}, r"rewards is of type float32 and shape \(\), no array of numbers"),
    "text": ({"actions": np.array([b"left"] * 9)}, r"actions is of type \|S4 and shape \(9,\), no array of numbers"),
    "pairs": ({"rewards": np.zeros((9, 2))}, r"rewards has the shape \(9, 2\), not one number a step"),
    "flags": ({"terminals": np.full(9, np.nan)}, "terminals has other values than 0 and 1"),
    "width": ({"next_observations": np.zeros((9, 3))}, r"next_observations are \(9, 3\), and observations \(9, 2\)"),
    "nothing": (
        {name: np.zeros((0, 2))[:, :1] for name in ("observations", "actions", "rewards", "terminals", "timeouts")},
        "it has no steps",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_arrays_that_cannot_be_steps_are_named(tmp_path: Path, name: str) -> None:
    arrays, said = SPOILED[name]
    with pytest.raises(DamagedError, match=f"x.hdf5: {said}"):
        open_dataset(str(d4rl(tmp_path / "x.hdf5", **arrays)))


def test_lengths_are_those_of_the_episodes(tmp_path: Path) -> None:
    found = open_dataset(str(d4rl(tmp_path / "x.hdf5")))
    assert found.lengths(0, 1) == [2, 4, 1]
