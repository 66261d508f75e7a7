"""What actors see while a run trains is recorded: no death loses an episode, and offline algorithms read the files."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from minari.dataset.minari_dataset import MinariDataset as Theirs

from surreal.algorithms.acting.actors import environments_of
from surreal.algorithms.datasets.dataset import Reading
from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.datasets.opening import open_dataset
from surreal.algorithms.datasets.recordings import RecordedDataset, collect
from surreal.algorithms.datasets.writing import actors
from surreal.algorithms.datasets.writing.actors import ActorRecording, recording_of
from surreal.algorithms.offline.config import BCConfig
from surreal.algorithms.offline.graph import sizing
from surreal.protocol.errors import Fatal, InvalidInput, NotFound
from surreal.protocol.wiring import Wiring

PROGRAM = """
import sys
import gymnasium
from surreal.algorithms.datasets.writing.actors import ActorRecording
from tests.algorithms.datasets.test_recordings import wired
recording = ActorRecording(wired(sys.argv[1]))
env = recording.around(gymnasium.make("CartPole-v1"))
while True:
    env.reset()
    while not any(env.step(env.action_space.sample())[2:4]):
        pass
    print(recording.episodes, flush=True)
"""


def wired(folder: Path | str, **changes: Any) -> Wiring:
    """Return the wiring of an actor that records into `folder`."""
    record = {"folder": str(folder), "every": 1, "bytes": 10**9, **changes}
    env = {"id": "CartPole-v1", "copies": 2}
    wiring = Wiring("walks", "actor", 0, 1, "x:y", {"actor": 1}, {}, "", False, "", 1, env=env)
    return replace(wiring, record=record)


class Counting(gymnasium.Env[Any, int]):
    """Observations count the steps, in one buffer that is written over; every second episode is terminal."""

    observation_space = spaces.Dict({"a": spaces.Box(-9, 999, (2,)), "b": spaces.Tuple((spaces.Discrete(1000),))})
    action_space = spaces.Discrete(3)  # type: ignore[assignment]

    def __init__(self, steps: int = 4) -> None:
        self._buffer, self._steps, self._episode = np.zeros(2, dtype=np.float32), steps, -1

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._episode, self._buffer[:] = self._episode + 1, 0
        return self._seen(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._buffer += 1
        over, terminal = self._buffer[0] >= self._steps, self._episode % 2 == 1
        return self._seen(), float(action), bool(over and terminal), bool(over and not terminal), {}

    def _seen(self) -> Any:
        return {"a": self._buffer, "b": (int(self._buffer[0]),)}


def played(recording: ActorRecording, env: gymnasium.Env[Any, Any], episodes: int) -> None:
    """Play whole episodes, whose actions are 0, 1, 2, 0, ... or as many as there are."""
    around, number, choices = recording.around(env), 0, int(env.action_space.n)  # type: ignore[attr-defined]
    for _ in range(episodes):
        around.reset(seed=5)
        ended = False
        while not ended:
            _, _, terminated, truncated, _ = around.step(number % choices)
            number, ended = number + 1, terminated or truncated
    around.close()


def all_of(folder: Path) -> list[Episode]:
    """Return all episodes of a recording."""
    found = RecordedDataset(folder)
    return [found[number] for number in range(len(found))]


def test_every_episode_that_was_written_survives_a_kill_of_the_actor(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "x")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None
        for _ in range(20):
            written = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert len(RecordedDataset(tmp_path / "x")) >= written == 20
    theirs = Theirs(collect(tmp_path / "x", tmp_path / "made", "walks/all-v0") / "data")
    assert theirs.total_episodes == len(RecordedDataset(tmp_path / "x"))
    assert theirs.env_spec.id == "CartPole-v1"


def test_episodes_are_of_the_environments_own_observations_and_actions(tmp_path: Path) -> None:
    played(ActorRecording(wired(tmp_path)), Counting(), 2)
    first, second = all_of(tmp_path)
    assert first.observations["a"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert first.observations["b"][0].tolist() == [0, 1, 2, 3, 4]
    assert first.actions.tolist() == first.rewards.tolist() == [0, 1, 2, 0]
    assert (first.terminated, first.truncated, first.seed) == (False, True, 5)
    assert (second.terminated, second.truncated) == (True, False)


def test_an_episode_that_a_reset_cuts_is_recorded_as_cut(tmp_path: Path) -> None:
    env = ActorRecording(wired(tmp_path)).around(Counting(100))
    env.reset()
    env.step(1)
    env.step(2)
    env.reset()
    env.close()
    (found,) = all_of(tmp_path)
    assert (len(found), found.truncated) == (2, True)


def test_an_episode_without_an_end_is_cut_in_the_recording_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "MOST_STEPS", 3)
    env = ActorRecording(wired(tmp_path)).around(Counting(100))
    env.reset()
    for _ in range(7):
        env.step(0)
    env.close()
    found = all_of(tmp_path)
    assert [each.observations["a"][:, 0].tolist() for each in found] == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7]]
    assert not any(each.terminated for each in found)


def test_one_of_so_many_episodes_is_recorded(tmp_path: Path) -> None:
    played(ActorRecording(wired(tmp_path, every=3)), Counting(), 7)
    assert [int(each.actions[0]) for each in all_of(tmp_path)] == [0, 12 % 3, 24 % 3]


def test_the_bytes_of_a_process_count_over_its_starts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    played(ActorRecording(wired(tmp_path)), Counting(), 5)
    taken = sum(path.stat().st_size for path in tmp_path.glob("*.journal"))
    again = ActorRecording(replace(wired(tmp_path, bytes=taken + taken // 5), incarnation=2))
    played(again, Counting(), 50)
    assert again.episodes == 1
    assert "spec.record.gigabytes is reached" in caplog.text


def test_runs_that_share_a_folder_never_write_into_a_file_of_another(tmp_path: Path) -> None:
    for name in ("walks", "runs", "walks"):
        played(ActorRecording(replace(wired(tmp_path), experiment=name)), Counting(), 1)
    names = {path.name for path in tmp_path.glob("*.journal")}
    assert names == {"walks-actor-0-1.journal", "walks-actor-0-2.journal", "runs-actor-0-1.journal"}
    assert len(all_of(tmp_path)) == 3


def test_a_folder_that_cannot_be_written_ends_the_recording_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    recording = ActorRecording(wired(tmp_path / "file" / "x"))
    played(recording, Counting(), 3)
    assert recording.episodes == 0
    assert caplog.text.count("recording ends with 0 episodes") == 1


def test_all_copies_of_an_actor_are_recorded(tmp_path: Path) -> None:
    envs, _ = environments_of(wired(tmp_path))
    rows = envs.reset()
    assert isinstance(rows, np.ndarray)
    arrays = np.zeros(2), np.zeros(2, dtype=bool), np.zeros(2, dtype=bool)
    for _ in range(60):
        envs.step(np.array([0, 1]), rows, *arrays)
    envs.close()
    found = all_of(tmp_path)
    assert {int(each.actions[0]) for each in found} == {0, 1}
    assert RecordedDataset(tmp_path).about.provenance["process"] == "actor/0"
    assert recording_of(replace(wired(tmp_path), record={})) is None


def test_offline_algorithms_read_the_folder_as_it_is(tmp_path: Path) -> None:
    played(ActorRecording(wired(tmp_path)), Counting(), 4)
    dataset = open_dataset(str(tmp_path))
    assert (dataset.about.episodes, dataset.about.steps, dataset.lengths(1, 2)) == (4, 16, [4, 4])
    assert len(list(Reading(dataset, (0, 2), np.random.default_rng(0), len).one_pass())) == 2


def test_a_plan_says_that_actors_recorded_in_another_environment(tmp_path: Path) -> None:
    played(ActorRecording(wired(tmp_path)), gymnasium.make("CartPole-v1"), 1)
    config = BCConfig(dataset=str(tmp_path))
    said = sizing(config, {"dataset": 1}, {"id": "Pendulum-v1"}).warnings
    assert said == (f"dataset: {tmp_path} was recorded in CartPole-v1, and policies are evaluated in Pendulum-v1.",)
    assert sizing(config, {"dataset": 1}, {"id": "CartPole-v1"}).warnings == ()
    # a relative path begins at the experiment's folder, wherever the command is given
    relative = BCConfig(dataset=tmp_path.name)
    assert sizing(relative, {"dataset": 1}, {"id": "Pendulum-v1", "folder": str(tmp_path.parent)}).warnings


def test_a_damaged_episode_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    played(ActorRecording(wired(tmp_path)), Counting(), 3)
    (path,) = tmp_path.glob("*.journal")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data[:-3])
    found = RecordedDataset(tmp_path)
    assert len(found) == 2  # the last one was cut short
    assert len(found[0]) == 4
    with pytest.raises(DamagedError, match=r"walks-actor-0-1.journal: episode 1: cannot be read: .* is damaged"):
        found[1]


def test_recordings_of_two_environments_are_no_dataset(tmp_path: Path) -> None:
    played(ActorRecording(wired(tmp_path)), Counting(), 1)
    played(ActorRecording(replace(wired(tmp_path), incarnation=2)), gymnasium.make("CartPole-v1"), 1)
    with pytest.raises(InvalidInput, match="is of another environment than walks-actor-0-1.journal"):
        collect(tmp_path, tmp_path / "made", "walks/all-v0")


def test_a_folder_without_recordings_or_descriptions_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no actor has recorded there"):
        collect(tmp_path, tmp_path / "made", "walks/all-v0")
    with pytest.raises(Fatal, match="no actor has recorded there"):
        RecordedDataset(tmp_path)
    played(ActorRecording(wired(tmp_path)), Counting(), 1)
    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text())["surreal"]["run"] == "walks"
    path.unlink()
    with pytest.raises(DamagedError, match=r"walks-actor-0-1.json: cannot be read"):
        open_dataset(str(tmp_path))
