"""Datasets that make no sense: one sentence names the file and the episode, and a knob leaves such episodes out."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from surreal.algorithms.datasets.dataset import Reading
from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.datasets.opening import open_dataset
from surreal.protocol.errors import Fatal
from tests.algorithms.datasets.made import written


def _main(folder: Path) -> Path:
    return folder / "data" / "main_data.hdf5"


def _damage(folder: Path, name: str, number: int = 2) -> Path:
    """Spoil episode `number` of a dataset of four."""
    with h5py.File(_main(written(folder)), "a") as file:
        group = file[f"episode_{number}"]
        if name == "no rewards":
            del group["rewards"]
        elif name == "NaN":
            group["rewards"][3] = np.nan
        elif name == "one number":
            del group["rewards"]
            group["rewards"] = 3.0
        elif name == "other flags":
            del group["truncations"]
            group["truncations"] = np.full(7, 2)
        elif name == "early end":
            group["terminations"][1] = True
        elif name == "empty":
            for key in ("rewards", "terminations", "truncations", "actions"):
                kept = group[key][:0]
                del group[key]
                group[key] = kept
        elif name == "lengths":
            kept = group["observations"][:-1]
            del group["observations"]
            group["observations"] = kept
        elif name == "flags":
            kept = group["truncations"][:-1]
            del group["truncations"]
            group["truncations"] = kept
        else:
            del file[f"episode_{number}"]
    return folder


SENTENCES = {
    "no rewards": "episode 2: there is no array 'rewards'. It has: ",
    "NaN": "episode 2: the reward of step 3 is nan",
    "one number": "episode 2: rewards is of type float64 and shape (), no array of numbers",
    "other flags": "episode 2: truncations has other values than 0 and 1",
    "early end": "episode 2: terminations is true at step 1 of 7, and the episode goes on",
    "empty": "episode 2: it has no steps",
    "lengths": "episode 2: 7 observations for 7 rewards. Expected 8",
    "flags": "episode 2: rewards, terminations and truncations differ in length",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_damaged_episode_is_named_in_one_sentence(tmp_path: Path, name: str) -> None:
    found = open_dataset(str(_damage(tmp_path / "x", name)))
    with pytest.raises(DamagedError) as caught:
        list(Reading(found, (0, 1), np.random.default_rng(0), lambda each: each).one_pass())
    assert SENTENCES[name] in str(caught.value)
    assert str(_main(tmp_path / "x")) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SENTENCES)
def test_damaged_episodes_can_be_left_out_and_are_counted(tmp_path: Path, name: str) -> None:
    found = open_dataset(str(_damage(tmp_path / "x", name)))

    def number(each: Episode) -> float:
        return float(each.observations[0, 0])

    reading = Reading(found, (0, 1), np.random.default_rng(0), number, skip_damaged=True)
    assert sorted(reading.one_pass()) == [0, 1, 3]
    assert sorted(reading.one_pass()) == [0, 1, 3]
    assert (reading.skipped, reading.passes) == (1, 2)


def test_a_missing_episode_contradicts_the_metadata(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match="says 4 episodes, main_data.hdf5 has 3"):
        open_dataset(str(_damage(tmp_path / "x", "gone", 3)))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = _main(written(tmp_path / "x"))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DamagedError, match="main_data.hdf5: it is damaged, truncated or no HDF5 file"):
        open_dataset(str(tmp_path / "x"))


def test_what_is_no_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="'nowhere' is not there"):
        open_dataset("nowhere")
    with pytest.raises(Fatal, match="there is no metadata.json in it"):
        open_dataset(str(tmp_path))
    metadata = written(tmp_path / "x") / "data" / "metadata.json"
    whole = metadata.read_text()
    metadata.write_text(whole[:-5])
    with pytest.raises(DamagedError, match="metadata.json: it is damaged or truncated"):
        open_dataset(str(tmp_path / "x"))
    metadata.write_text(json.dumps({**json.loads(whole), "data_format": "arrow"}))
    with pytest.raises(Fatal, match="its data_format is 'arrow'"):
        open_dataset(str(tmp_path / "x"))


def test_a_shard_without_an_episode_says_so(tmp_path: Path) -> None:
    found = open_dataset(str(written(tmp_path / "x", count=2)))
    with pytest.raises(DamagedError, match="shard 2 of 3 has no episode"):
        list(Reading(found, (2, 3), np.random.default_rng(0), lambda each: each).one_pass())


def test_a_shard_of_damaged_episodes_alone_says_so_when_they_are_skipped(tmp_path: Path) -> None:
    found = open_dataset(str(_damage(tmp_path / "x", "NaN", 1)))
    reading = Reading(found, (1, 4), np.random.default_rng(0), lambda each: each, skip_damaged=True)
    with pytest.raises(DamagedError, match="shard 1 of 4 has damaged episodes alone, 1 of them. Record it anew"):
        list(reading.one_pass())
