"""Keeper: a request in the run folder begins a profile, which stays within its bounds and says what it dropped."""

import json
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.profiling import keeper as module
from surreal.protocol.profiling.chunks import ROW, Chunk
from surreal.protocol.profiling.keeper import Keeper
from surreal.protocol.profiling.request import BUSY, DONE, FOLDER, REQUEST, ProfileRequest, main


class Clock:
    """A clock that only the test moves."""

    now = 100.0

    def monotonic(self) -> float:
        """Return its time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the keeper."""
    clock = Clock()
    monkeypatch.setattr("surreal.protocol.profiling.keeper.time.monotonic", clock.monotonic)
    return clock


def chunk(profile: str = "p") -> Chunk:
    """A chunk of a hundred spans."""
    rows = np.array([(0, 0, 7, 10, 5, 0, 0)] * 100, dtype=ROW)
    return Chunk(profile, 0, 1, 2, 0, 0, 0, 0, 0, 7, [("learn", "python")], rows, rows[:0])


def begun(folder: Path) -> Keeper:
    """A keeper that has found a request for ten seconds."""
    keeper = Keeper(str(folder))
    ProfileRequest("p", 10.0).write(folder)
    keeper.turn()
    return keeper


def test_a_profile_is_written_per_process_and_ends_with_what_it_weighs(tmp_path: Path, clock: Clock) -> None:
    keeper = begun(tmp_path)
    assert keeper.request == ProfileRequest("p", 10.0)
    keeper.take("actor/3", 2, chunk())
    keeper.turn()
    clock.now += 10.1
    assert keeper.request is None
    keeper.take("actor/3", 2, chunk())  # the last words
    keeper.turn()
    clock.now += module.LAST_WORDS_S
    keeper.turn()
    path = tmp_path / FOLDER / "p" / "actor-3.2.spans"
    assert [len(Chunk.from_line(line).rows) for line in path.read_bytes().splitlines()] == [100, 100]
    said = json.loads(path.with_name(DONE).read_text())
    assert said == {"seconds": 10.0, "bytes": path.stat().st_size, "dropped_chunks": 0}


def test_a_profile_of_many_processes_stays_within_its_bytes_and_counts_the_rest(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 3 * len(chunk().to_line()) + 10
    monkeypatch.setattr(module, "MOST_BYTES", most)
    monkeypatch.setattr(module, "MOST_WAITING", 6)
    keeper = begun(tmp_path)
    for number in range(8):
        keeper.take(f"actor/{number}", 1, chunk())
    keeper.turn()
    clock.now += 20
    keeper.turn()
    files = list((tmp_path / FOLDER / "p").glob("*.spans"))
    assert len(files) == 3 and sum(path.stat().st_size for path in files) <= most
    assert json.loads((tmp_path / FOLDER / "p" / DONE).read_text())["dropped_chunks"] == 5


def test_chunks_of_another_profile_and_requests_of_before_are_not_kept(tmp_path: Path, clock: Clock) -> None:
    ProfileRequest("old", 10.0).write(tmp_path)
    keeper = Keeper(str(tmp_path))
    keeper.turn()
    assert keeper.request is None
    keeper = begun(tmp_path)
    keeper.take("actor/0", 1, chunk("other"))
    keeper.turn()
    assert not list((tmp_path / FOLDER).glob("*/*.spans"))


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "../p", "seconds": 3}', '{"name": "p", "seconds": 1e9}'])
def test_a_file_that_is_no_request_is_said_and_nothing_begins(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(str(tmp_path))
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / REQUEST).write_text(text)
    keeper.turn()
    assert keeper.request is None and "is no request for a profile" in caplog.text


def test_the_next_start_of_the_process_goes_on_with_the_profile_of_one_that_died(tmp_path: Path, clock: Clock) -> None:
    begun(tmp_path).take("actor/0", 1, chunk())
    after = Keeper(str(tmp_path))
    assert after.request == ProfileRequest("p", 10.0)
    after.take("actor/0", 1, chunk())
    clock.now += 10.1 + module.LAST_WORDS_S
    after.turn()
    assert {path.name for path in (tmp_path / FOLDER / "p").iterdir()} == {"actor-0.1.spans", DONE}


def test_a_process_that_ends_in_order_ends_its_profile(tmp_path: Path, clock: Clock) -> None:
    keeper = begun(tmp_path)
    keeper.take("actor/0", 1, chunk())
    keeper.close()
    assert {path.name for path in (tmp_path / FOLDER / "p").iterdir()} == {"actor-0.1.spans", DONE}
    assert Keeper(str(tmp_path)).request is None


def test_a_second_profile_at_once_is_refused_until_the_first_is_over(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metrics").mkdir()
    keeper = begun(tmp_path)
    other = json.dumps(ProfileRequest("q", 5.0).to_data())
    monkeypatch.setattr("sys.argv", ["request", other, str(tmp_path)])
    with pytest.raises(SystemExit) as refused:
        main()
    assert refused.value.code == BUSY
    clock.now += 10.1 + module.LAST_WORDS_S
    keeper.turn()
    main()
    keeper.turn()
    assert keeper.request == ProfileRequest("q", 5.0)


def test_a_request_of_long_ago_or_of_a_clock_that_was_set_back_holds_up_no_other(tmp_path: Path) -> None:
    ProfileRequest("p", 10.0).write(tmp_path)
    path = tmp_path / FOLDER / REQUEST
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "asked": data["asked"] - 11}))
    assert ProfileRequest.under_way(tmp_path) is None
    path.write_text(json.dumps({**data, "asked": data["asked"] + 1e6}))
    assert ProfileRequest.under_way(tmp_path) == (ProfileRequest("p", 10.0), 10.0)
