"""RLDS folders of TensorFlow Datasets are read without TensorFlow: every value, and what makes no sense is named."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.datasets.dataset import Reading
from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.datasets.opening import open_dataset
from surreal.algorithms.datasets.rlds.crc32c import crc32c
from surreal.algorithms.datasets.rlds.dataset import RldsDataset
from surreal.algorithms.datasets.rlds.example import read_example
from surreal.protocol.errors import Fatal
from tests.algorithms.datasets.tfds import example, framed, steps, tensor, written


def read(folder: Path | str, shard: int = 0, shards: int = 1, skip: bool = False) -> list[Episode]:
    """Return all episodes of a shard, in the order of their numbers."""
    dataset = open_dataset(str(folder))
    reading = Reading(dataset, (shard, shards), np.random.default_rng(0), lambda each: each, skip)
    return sorted(reading.one_pass(), key=lambda each: float(each.observations["place"][0, 0]))


def test_every_value_of_every_episode_is_read(tmp_path: Path) -> None:
    found = read(written(tmp_path / "x", [steps(0), steps(1, 6, terminal=True), steps(2)]))
    assert [len(each) for each in found] == [3, 5, 3]
    one = found[1]
    assert one.observations["place"].tolist() == [[1, t] for t in range(6)]
    assert one.observations["lamp"].tolist() == [200 + t for t in range(6)]
    assert (one.observations["place"].dtype, one.observations["lamp"].dtype) == (np.float64, np.uint8)
    assert np.allclose(one.actions[:, 0], np.arange(5) / 10 - 1)
    assert np.allclose(one.rewards, 1 + np.arange(5) / 100)
    assert [(each.terminated, each.truncated) for each in found] == [(False, True), (True, False), (False, True)]
    assert open_dataset(str(tmp_path / "x")).about.episodes == 3


def test_shards_share_the_episodes(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(number) for number in range(9)], files=2)
    parts = [[int(each.observations["place"][0, 0]) for each in read(folder, shard, 2)] for shard in range(2)]
    assert sorted(parts[0] + parts[1]) == list(range(9))
    assert min(map(len, parts)) == 4


def test_a_folder_behind_a_url_is_read_where_it_lies(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(number) for number in range(3)])
    assert len(read(f"file://{folder}")) == 3


def test_other_splits_are_left_alone(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(0)], files=1)
    (folder / "walks-test.tfrecord-00000-of-00001").write_bytes(framed(example(steps(1))))
    assert len(read(folder)) == 1


def test_a_file_that_is_missing_or_lost_whole_episodes_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(number) for number in range(4)])
    path = folder / "walks-train.tfrecord-00001-of-00002"
    path.write_bytes(framed(example(steps(1))))
    with pytest.raises(DamagedError, match=r"00001-of-00002: it has 1 episodes, and dataset_info.json says 2"):
        read(folder)
    path.unlink()
    with pytest.raises(DamagedError, match=r"x: its file -00001-of-00002 is missing. Copy the whole folder"):
        read(folder)


@pytest.mark.parametrize("bytes_left", [1, 11, 12, 40, -1, -4])
def test_a_truncated_file_is_named_with_the_byte(tmp_path: Path, bytes_left: int) -> None:
    folder = written(tmp_path / "x", [steps(0), steps(1)], files=1)
    (path,) = folder.glob("*.tfrecord-*")
    data = path.read_bytes()
    second = len(data) // 2
    path.write_bytes(data[: second + bytes_left] if bytes_left > 0 else data[:bytes_left])
    with pytest.raises(DamagedError, match=rf"{path.name}: it (is truncated|ends within).* at byte {second}"):
        read(folder)


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(0), steps(1)], files=1)
    (path,) = folder.glob("*.tfrecord-*")
    whole = path.read_bytes()
    for place in (3, 9, 30, len(whole) // 2 - 2):
        data = bytearray(whole)
        data[place] ^= 16
        path.write_bytes(data)
        with pytest.raises(DamagedError, match=r"has another checksum"):
            read(folder)
    assert len(read(folder, skip=True)) == 1  # the last one was within the first record's bytes


def test_a_length_beyond_all_memory_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(0)], files=1)
    (path,) = folder.glob("*.tfrecord-*")
    data = framed(b"")
    huge = struct.pack("<Q", 2**50)
    path.write_bytes(huge + framed(huge)[12:-4][:0] + _crc(huge) + data[12:])
    with pytest.raises(DamagedError, match="says 1125899906842624 bytes, more than"):
        read(folder)


def _crc(data: bytes) -> bytes:
    return framed(data)[-4:]


def wrong(name: str, **values: Any) -> dict[str, Any]:
    """Return an episode with some values replaced; None leaves one out."""
    made = {**steps(0), **{f"steps/{key}": value for key, value in values.items()}}
    return {key: value for key, value in made.items() if value is not None}


@pytest.mark.parametrize(
    ("episode", "said"),
    [
        (wrong("x", reward=None), "steps/reward is missing"),
        (wrong("x", is_last=np.array([0, 1, 0, 0])), "is_last is true at step 1 of 4, and the episode goes on"),
        (wrong("x", is_terminal=np.array([1, 0, 0, 0])), "is_terminal is true at step 0 of 4"),
        (wrong("x", reward=np.zeros(3)), "different numbers of steps"),
        (wrong("x", reward=np.array([0, np.nan, 0, 0])), "the reward of step 1 is nan"),
        (wrong("x", **{"observation/place": np.zeros(7)}), "has 7 numbers, not a multiple of 2"),
        (wrong("x", action=[b"left"]), "steps/action holds texts"),
        (steps(0, rows=1), "it has no steps"),
        (steps(0, rows=0), "it has no steps"),
    ],
)
def test_an_episode_that_makes_no_sense_is_named(tmp_path: Path, episode: dict[str, Any], said: str) -> None:
    folder = written(tmp_path / "x", [episode, steps(1)], files=1)
    with pytest.raises(DamagedError, match=rf"tfrecord-00000-of-00001: record 0: .*{said}"):
        read(folder)
    assert len(read(folder, skip=True)) == 1


def test_bytes_that_are_no_example_are_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(0)], files=1)
    (path,) = folder.glob("*.tfrecord-*")
    for data in (b"\x0a\xff\xff\xff\xff\x7f", b"\x0b", b"\xff" * 12, example(steps(0))[:-5]):
        path.write_bytes(framed(data))
        with pytest.raises(DamagedError, match="record 0: "):
            read(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_terminal": None}, "no 'is_terminal', which RLDS wants"),
        (
            {"action": {"featuresDict": {"features": {"arm": tensor("float32")}}}},
            "its actions are several features: arm",
        ),
    ],
)
def test_a_description_without_what_learning_needs_is_refused(tmp_path: Path, changes: Any, said: str) -> None:
    with pytest.raises(Fatal, match=said):
        RldsDataset(str(written(tmp_path / "x", [steps(0)], **changes)))


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({"pythonClassName": "a.b.Image", "image": {}}, "features of kind Image cannot be read"),
        (tensor("float32", 2, encoding="zlib"), "encoded as zlib cannot be read"),
        (tensor("string"), "numbers of type string cannot be read"),
        (tensor("float32", -1), "a shape that differs from step to step"),
    ],
)
def test_features_that_need_tensorflow_are_named(tmp_path: Path, feature: Any, said: str) -> None:
    folder = written(tmp_path / "x", [steps(0)], observation={"featuresDict": {"features": {"place": feature}}})
    with pytest.raises(DamagedError, match=rf"steps/observation/place: .*{said}"):
        read(folder)


def test_folders_without_records_or_with_a_damaged_description_are_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(0)])
    for path in folder.glob("*.tfrecord-*"):
        path.unlink()
    with pytest.raises(Fatal, match=r"there is no .tfrecord file beside features.json"):
        open_dataset(str(folder))
    (folder / "features.json").write_text('{"featuresDict": {}}')
    with pytest.raises(DamagedError, match=r"features.json: it describes no steps"):
        open_dataset(str(folder))


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "x", [steps(0), steps(1)])
    path = folder / "walks-train.tfrecord-00001-of-00002"
    path.unlink()
    path.mkdir()
    with pytest.raises(Fatal, match="tfrecord-00001-of-00002: cannot be read: Is a directory"):
        read(folder)


def test_numbers_of_any_size_and_sign_are_read() -> None:
    values = np.array([0, 1, -1, 127, 128, 2**31, -(2**31), 2**63 - 1, -(2**63)])
    found = read_example(example({"n": values, "text": [b"a", b""], "none": np.zeros(0)}))
    assert isinstance(found["n"], np.ndarray)
    assert found["n"].tolist() == values.tolist()
    assert found["text"] == [b"a", b""]
    # fields that are not packed mean the same
    loose = b"\x0a\x0e\x0a\x0c\x0a\x01n\x12\x07\x1a\x05\x08\x05\x08\xac\x02"
    assert np.asarray(read_example(loose)["n"]).tolist() == [5, 300]


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert crc32c(bytes(32)) == 0x8A9136AA
