"""The copy of a run folder in a store: what a resume in another pod finds, whatever died and whenever."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
from fsspec.spec import AbstractBufferedFile

from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints, load
from surreal.protocol.errors import Fatal
from surreal.protocol.worker import object_store as stores
from surreal.protocol.worker import runner as play
from surreal.protocol.worker import store_sync as uploading
from surreal.protocol.worker.object_store import ObjectStore, StoreError, fetch, read_url
from surreal.protocol.worker.store_sync import StoreSync
from surreal.protocol.worker.termination import TerminationMessage
from tests.protocol.worker.pod.test_identity import SHARED

Until = Callable[..., None]


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty store."""
    if request.param == "file":
        yield f"file://{tmp_path}/store/runs/cheetah"
        return
    yield "memory://runs/cheetah"
    fsspec.filesystem("memory").store.clear()


def never(row: dict[str, float]) -> None:
    """Nobody wants the gauges."""


def store_all(url: str, folder: Path) -> None:
    """What a process does from its start to its end."""
    store = ObjectStore(url)
    store.connect()
    assert StoreSync(store, folder, fetch(store, folder), never).close(lambda: False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make_run(folder: Path, steps: int, keep: int = 2) -> None:
    """What a learner leaves."""
    checkpoints = Checkpoints(folder / "checkpoints", keep)
    checkpoints.save(Checkpoint(steps, {"w": np.full(100_000, steps, dtype=np.float32)}, {"updates": steps}))
    checkpoints.save_best(steps, steps, {"w": np.zeros(10)})
    for part in ("metrics", "logs"):
        (folder / part).mkdir(exist_ok=True)
        with (folder / part / "rows").open("a") as rows:
            rows.write(f"{steps}\n")
    (folder / "wiring").mkdir(exist_ok=True)
    (folder / "wiring" / "actor.json").write_text("not for others")


def test_another_pod_finds_what_the_first_one_left(
    url: str, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "SYNC_INTERVAL_S", 0.01)
    first, second, store = tmp_path / "first", tmp_path / "second", ObjectStore(url)
    uploads = StoreSync(store, first, fetch(store, first), never)
    for steps in (10, 20, 30):
        make_run(first, steps)
        until(lambda: f"checkpoints/step-{steps:012d}/manifest.json" in store.files(), "the upload")  # noqa: B023
    assert uploads.close(lambda: False)
    second.mkdir()
    store_all(url, second)
    assert files(second) == {name: data for name, data in files(first).items() if not name.startswith("wiring")}
    assert sorted(path.name for path in (second / "checkpoints").iterdir()) == [
        "best-000000000030",
        "step-000000000020",
        "step-000000000030",
    ]
    assert (second / "metrics" / "rows").read_text() == "10\n20\n30\n"


def test_a_checkpoint_without_its_manifest_is_no_checkpoint_and_goes(url: str, tmp_path: Path) -> None:
    make_run(tmp_path / "first", 10)
    store_all(url, tmp_path / "first")
    store = ObjectStore(url)
    store.remove("checkpoints/step-000000000010/manifest.json")
    assert fetch(store, tmp_path / "second") == {
        "checkpoints/best-000000000010/manifest.json",
        "checkpoints/best-000000000010/tensors.safetensors",
        "metrics/rows",
        "logs/rows",
    }
    assert not (tmp_path / "second" / "checkpoints" / "step-000000000010").exists()
    assert not [name for name in store.files() if "step-" in name]


def test_the_same_step_again_replaces_the_checkpoint(url: str, tmp_path: Path) -> None:
    make_run(tmp_path / "first", 10)
    store_all(url, tmp_path / "first")
    checkpoints = Checkpoints(tmp_path / "first" / "checkpoints", 2)
    checkpoints.save(Checkpoint(10, {"w": np.ones(5)}, {"updates": 7}))
    store_all(url, tmp_path / "first")
    fetch(ObjectStore(url), tmp_path / "second")
    assert load(tmp_path / "second" / "checkpoints" / "step-000000000010").state == {"updates": 7}


def test_names_that_no_run_has_are_left_alone(url: str, tmp_path: Path) -> None:
    store = ObjectStore(url)
    for name in ("metrics/.hidden", "elsewhere/x", "x", "checkpoints/x", "checkpoints/a/b/c", "metrics/a/b"):
        store.put_bytes(name, b"x")
    assert store.files() == {} and fetch(store, tmp_path / "run") == set()
    bad = ("metrics/../../x", "/etc/passwd", "checkpoints/../x", "../metrics/x", "checkpoints/../metrics/x", "")
    assert [name for name in bad if stores._is_ours(name)] == []


def test_a_store_that_is_too_large_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MAX_BYTES", 10)
    store = ObjectStore(f"file://{tmp_path}/store")
    store.put_bytes("metrics/rows", b"x" * 11)
    with pytest.raises(Fatal, match="has 1 files of 11 bytes, which no run made"):
        fetch(store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://bucket/run", "a package is missing here: .*s3fs"),
        ("gs://bucket/run", "a package is missing here: .*gcsfs"),
        ("nonsense://bucket/run", "Protocol not known: nonsense"),
    ],
)
def test_a_store_that_nothing_here_speaks_to_is_fatal(url: str, words: str) -> None:
    with pytest.raises(Fatal, match=words):
        ObjectStore(url)


def test_a_store_that_may_not_be_written_is_fatal_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        Fatal, match=r"spec\.storage\.url: cannot write to file:.*\. Correct it, or let this pod write there\."
    ):
        ObjectStore(f"file://{tmp_path}/file/run").connect()


def test_one_file_is_read_up_to_a_limit(url: str) -> None:
    ObjectStore(url).put_bytes("code.tar.gz", b"123456789")
    assert read_url(f"{url}/code.tar.gz", 5) == b"12345"
    with pytest.raises(Fatal, match="cannot read .*none"):
        read_url(f"{url}/none", 5)


class Flaky:
    """A store that fails when told to."""

    def __init__(self, store: ObjectStore) -> None:
        self.broken, self._store = False, store
        self.url = store.url

    def __getattr__(self, name: str) -> Callable[..., object]:
        if self.broken:
            raise StoreError("cannot write to s3://bucket: 503 Slow Down")
        return getattr(self._store, name)  # type: ignore[no-any-return]


def test_a_store_that_fails_is_said_and_tried_again(
    tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(uploading, "SYNC_INTERVAL_S", 0.01)
    monkeypatch.setattr(uploading, "RETRY_AFTER_S", 0.01)
    flaky, gauges = Flaky(ObjectStore(f"file://{tmp_path}/store")), dict[str, float]()
    make_run(tmp_path / "run", 10)
    flaky.broken = True
    uploads = StoreSync(flaky, tmp_path / "run", set(), gauges.update)  # type: ignore[arg-type]
    until(lambda: gauges.get("store_failures", 0) >= 3, "three failures")
    assert "503 Slow Down; the run goes on, and tries again (1 failures so far)" in caplog.text
    flaky.broken = False
    until(lambda: len(ObjectStore(f"file://{tmp_path}/store").files()) == 6, "all files")
    flaky.broken = True
    make_run(tmp_path / "run", 20)
    ticks = iter(range(1000))
    assert not uploads.close(lambda: next(ticks) > 3)
    flaky.broken = False
    until(lambda: uploads.complete, "the rest")


SAVES = """
import sys, time
from pathlib import Path
import numpy as np
from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.protocol.worker import store_sync as uploads
from surreal.protocol.worker.object_store import ObjectStore, fetch
uploads.SYNC_INTERVAL_S = 0.0
url, folder = sys.argv[1], Path(sys.argv[2])
store = ObjectStore(url)
store.connect()
same = fetch(store, folder)
checkpoints = Checkpoints(folder / "checkpoints", 3)
newest = checkpoints.newest()
steps = newest.steps if newest else 0
print("goes on from", steps, flush=True)
upload = uploads.StoreSync(store, folder, same, lambda row: None)
while True:
    steps += 1
    if steps % 10 == 0:  # the same step twice, with other bytes
        checkpoints.save(Checkpoint(steps, {"w": np.full(300_000, -steps, dtype=np.float32)}, {"updates": -steps}))
    checkpoints.save(Checkpoint(steps, {"w": np.full(300_000, steps, dtype=np.float32)}, {"updates": steps}))
"""


def test_a_process_killed_at_any_time_leaves_no_torn_checkpoint(tmp_path: Path) -> None:
    url, chance, reached, attempt = f"file://{tmp_path}/store", random.Random(1), 0, 0
    # on a busy machine a process gets less far in its time, so go on until enough was stored
    while attempt < 5 or (reached <= 5 and attempt < 12):
        attempt += 1
        folder = tmp_path / f"pod-{attempt}"
        command = [sys.executable, "-P", "-c", SAVES, url, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            steps = int(process.stdout.readline().split()[-1])
            assert steps >= reached
            reached = steps
            try:
                process.wait(chance.uniform(0.1, 0.5) * max(1, attempt - 4))
            except subprocess.TimeoutExpired:
                process.kill()
        fetched = tmp_path / f"check-{attempt}"
        fetch(ObjectStore(url), fetched)
        for checkpoint in sorted((fetched / "checkpoints").glob("step-*")):
            loaded = load(checkpoint)  # which checks the hashes
            assert abs(loaded.arrays["w"][0]) == loaded.steps == abs(loaded.state["updates"])
            assert loaded.arrays["w"][0] == loaded.state["updates"]
    assert reached > 5


def test_a_store_out_of_reach_fails_a_new_run_and_makes_one_that_goes_on_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stores, "CONNECT_TIMEOUT_S", 0.05)
    monkeypatch.setattr(stores, "RETRY_AFTER_S", 0.02)

    def unreachable(store: ObjectStore, name: str, data: bytes) -> None:
        raise ConnectionError("Could not connect to the endpoint URL")

    monkeypatch.setattr(ObjectStore, "_write", unreachable)
    new = replace(SHARED, store=f"file://{tmp_path}/store", run_folder=str(tmp_path / "run"), incarnation=100_000)
    words = "cannot write to file:.*Could not connect to the endpoint URL"
    with pytest.raises(Fatal, match=words):
        play._fetch(new)
    with pytest.raises(StoreError, match=words):
        play._fetch(replace(new, incarnation=100_001))
    assert "Could not connect to the endpoint URL; trying on" in caplog.text


class Gone:
    """StoreSync that never come to an end."""

    def close(self, give_up: Callable[[], bool]) -> bool:
        return False


@pytest.mark.parametrize(("before", "after"), [("DONE", "FAILED"), ("PREEMPTED", "PREEMPTED"), ("FATAL", "FATAL")])
def test_a_run_whose_results_are_not_stored_is_not_done(before: str, after: str) -> None:
    process = SimpleNamespace(wiring=replace(SHARED, store="s3://bucket"), stopping_for=0.0)
    ending = play._store_last(process, Gone(), TerminationMessage(before, "why"))  # type: ignore[arg-type]
    assert ending.exit == after
    assert (ending.reason == "the run is done, but not everything of the run is stored at s3://bucket") == (
        before == "DONE"
    )


class Far(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A store with one file of zeros, which counts the bytes that are fetched of it."""

    protocol = "far"
    size = 40 * 2**20
    fetched = 0

    def info(self, path: str, **more: object) -> dict[str, object]:
        return {"name": path, "size": self.size, "type": "file"}

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **more: object) -> "FarFile":
        return FarFile(self, path, mode, block_size or 50 * 2**20, **more)


class FarFile(AbstractBufferedFile):  # type: ignore[misc]
    """Its only file."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        Far.fetched += end - start
        return bytes(end - start)


def test_scattered_reads_fetch_a_block_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("far", Far, clobber=True)
    monkeypatch.setattr(Far, "fetched", 0)
    with stores.open_url("far://sets/walks.hdf5", scattered=True) as opened:
        for place in (1, 30, 2, 31, 1, 30, 2, 31):
            opened.seek(place * 2**20)
            assert len(opened.read(1_000)) == 1_000
    assert Far.fetched <= 4 * stores.BLOCK_BYTES
