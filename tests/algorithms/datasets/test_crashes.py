"""Recordings that die: every acknowledged episode is in the dataset that the next attempt finishes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from surreal.algorithms.datasets.minari import MinariDataset
from surreal.algorithms.datasets.writing.journal import Journal, read_journal
from surreal.algorithms.datasets.writing.minari import JOURNAL, DatasetWriter
from surreal.protocol.errors import InvalidInput
from tests.algorithms.datasets.made import ACTION, OBSERVATION, episode

PROGRAM = """
import sys
from pathlib import Path
from surreal.algorithms.datasets.writing.minari import DatasetWriter
from tests.algorithms.datasets.made import ACTION, OBSERVATION, episode
writer = DatasetWriter(Path(sys.argv[1]), "tests/crash-v0", OBSERVATION, ACTION)
while True:
    writer.add(episode(writer.episodes, 50))
    print(writer.episodes, flush=True)
"""


def test_every_acknowledged_episode_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "x")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as process:
        assert process.stdout is not None
        for _ in range(5):
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    writer = DatasetWriter(tmp_path / "x", "tests/crash-v0", OBSERVATION, ACTION)
    assert writer.episodes >= acknowledged == 5
    writer.add(episode(writer.episodes))
    writer.finish()
    found = MinariDataset(str(tmp_path / "x"))
    assert [int(found[number].observations[0, 0]) for number in range(len(found))] == list(range(writer.episodes))
    assert not (tmp_path / "x" / "data" / JOURNAL).exists()


def test_a_recording_goes_on_with_its_own_settings_alone(tmp_path: Path) -> None:
    def begun(**more: object) -> DatasetWriter:
        return DatasetWriter(tmp_path / "x", "tests/crash-v0", OBSERVATION, ACTION, None, {"noise": 0.1, **more})

    with pytest.raises(KeyboardInterrupt), begun(versions={"numpy": "2.0"}) as writer:
        writer.add(episode(0))
        raise KeyboardInterrupt
    with pytest.raises(InvalidInput, match="x has an unfinished recording of other settings. Remove it"):
        begun(noise=0.2)
    with begun(versions={"numpy": "2.1"}) as writer:
        assert writer.episodes == 1
        writer.add(episode(1))
    assert len(MinariDataset(str(tmp_path / "x"))) == 2
    assert not list((tmp_path / "x" / "data").glob("recording.*"))


@pytest.mark.parametrize("cut", [1, 5, 17, 200])
def test_a_record_that_was_cut_short_is_left_out_and_written_anew(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    one = episode(1)
    for number in range(3):
        journal.append({"rewards": one.rewards}, {"number": number})
    journal.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - cut)
    kept = [meta["number"] for _, meta in read_journal(path)]
    assert kept == ([0, 1] if cut < 150 else [0])
    again = Journal(path)
    again.append({"rewards": one.rewards}, {"number": 9})
    again.close()
    assert [meta["number"] for _, meta in read_journal(path)] == [*kept, 9]


def test_a_flipped_bit_ends_the_journal_at_its_record(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    for number in range(3):
        journal.append({"rewards": episode(1).rewards}, {"number": number})
    journal.close()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert [meta["number"] for _, meta in read_journal(path)] == [0]
