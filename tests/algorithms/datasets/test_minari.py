"""Datasets in Minari's layout: its own package reads what is written here, and what it writes is read here."""

from pathlib import Path

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.dataset.minari_dataset import MinariDataset as Theirs

from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.datasets.minari import MinariDataset, place_of
from surreal.algorithms.datasets.minari_spaces import read_space, space_text
from surreal.algorithms.datasets.opening import open_dataset
from surreal.algorithms.datasets.writing.minari import DatasetWriter
from surreal.protocol.errors import InvalidInput, NotFound
from tests.algorithms.datasets.made import ACTION, OBSERVATION, episode, written

SPACES = [
    spaces.Box(np.array([-1.0, -np.inf]), np.array([1.0, np.inf]), dtype=np.float64),
    spaces.Discrete(4, start=-2),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiBinary(3),
    spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Tuple([spaces.Box(0, 255, (4, 4, 3), np.uint8)])}),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_a_space_is_the_same_for_minari_and_for_us(space: "spaces.Space[object]") -> None:
    from minari.serialization import deserialize_space, serialize_space

    assert deserialize_space(space_text(space)) == space
    assert read_space(serialize_space(space), "x") == space


def test_minari_reads_what_was_written_here(tmp_path: Path) -> None:
    theirs = Theirs(written(tmp_path / "walks") / "data")
    assert (theirs.id, theirs.total_episodes, theirs.total_steps) == ("tests/walks-v0", 4, 5 + 6 + 7 + 8)
    found = theirs[3]
    mine = episode(3, 8, terminated=True)
    assert np.array_equal(found.observations, mine.observations)
    assert np.array_equal(found.actions, mine.actions)
    assert np.array_equal(found.rewards, mine.rewards)
    assert found.terminations.tolist() == [False] * 7 + [True]
    assert not found.truncations.any()
    assert theirs[2].truncations[-1]
    assert theirs.observation_space == OBSERVATION
    assert theirs.action_space == ACTION
    assert [each["seed"] for each in theirs.storage.get_episode_metadata([0, 3])] == [0, 3]


def test_minari_reads_nested_observations_and_probabilities(tmp_path: Path) -> None:
    space = spaces.Dict({"goal": spaces.Discrete(3), "parts": spaces.Tuple([ACTION, ACTION])})
    seen = {"goal": np.array([0, 1, 2]), "parts": (np.zeros((3, 1), np.float32), np.ones((3, 1), np.float32))}
    made = Episode(
        "x", seen, np.zeros((2, 1), np.float32), np.zeros(2), True, False, None, {"log_probabilities": -np.ones(2)}
    )
    with DatasetWriter(tmp_path / "nested", "tests/nested-v0", space, ACTION) as writer:
        writer.add(made)
    found = Theirs(tmp_path / "nested" / "data")[0]
    assert found.observations["goal"].tolist() == [0, 1, 2]
    assert found.observations["parts"][1].tolist() == [[1], [1], [1]]
    assert found.infos["log_probabilities"].tolist() == [0, -1, -1]
    mine = MinariDataset(str(tmp_path / "nested"))[0]
    assert mine.observations["parts"][1].tolist() == [[1], [1], [1]]
    assert mine.behaviour["log_probabilities"].tolist() == [-1, -1]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_minari_collected_is_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffers = [_buffer(number) for number in range(3)]
    env = gymnasium.make("Pendulum-v1")
    theirs = minari.create_dataset_from_buffers(
        "tests/pendulum-v0", buffers, env=env, ref_min_score=0.0, ref_max_score=1.0, description="x"
    )
    env.close()
    mine = open_dataset("minari:tests/pendulum-v0")
    assert mine.about.env_id == "Pendulum-v1"
    assert (mine.about.episodes, mine.about.steps) == (3, 12)
    assert mine.lengths(0, 2) == [4, 4]
    reads = list(mine.episodes(0, 1, np.random.default_rng(0)))
    for read in reads:
        found = read()
        other = theirs[int(found.rewards[0])]
        assert np.array_equal(found.observations, other.observations)
        assert np.array_equal(found.actions, other.actions)
        assert (found.terminated, found.truncated) == (False, True)
    with pytest.raises(NotFound, match="minari has no 'tests/other-v0'"):
        place_of("tests/other-v0")


def _buffer(number: int) -> "minari.data_collector.EpisodeBuffer":
    from minari.data_collector import EpisodeBuffer

    return EpisodeBuffer(
        id=number,
        observations=list(np.full((5, 3), number, np.float32)),
        actions=list(np.zeros((4, 1), np.float32)),
        rewards=[float(number)] * 4,
        terminations=[False] * 4,
        truncations=[False] * 3 + [True],
    )


@pytest.mark.parametrize("name", ["no-version", "a b/c-v0", "../up-v0"])
def test_an_id_that_minari_does_not_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="is no id of a dataset"):
        DatasetWriter(tmp_path / "x", name, OBSERVATION, ACTION)


def test_a_finished_dataset_is_not_written_over(tmp_path: Path) -> None:
    folder = written(tmp_path / "walks")
    with pytest.raises(InvalidInput, match="holds a dataset already"):
        DatasetWriter(folder, "tests/walks-v0", OBSERVATION, ACTION)


def test_an_episode_that_makes_no_sense_is_not_written(tmp_path: Path) -> None:
    writer = DatasetWriter(tmp_path / "x", "tests/x-v0", OBSERVATION, ACTION)
    with pytest.raises(DamagedError, match="it has no steps"):
        writer.add(episode(0, steps=0))
    with pytest.raises(InvalidInput, match="got no episode"):
        writer.finish()
