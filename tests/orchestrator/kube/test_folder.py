"""The run folder of a run in a cluster, read from here wherever it is."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.names import PLAN_KEY, ROOT, labels
from surreal.orchestrator.backends.kube.run_folder import folder as files_module
from surreal.orchestrator.backends.kube.run_folder import locate as folder_module
from surreal.orchestrator.backends.kube.run_folder import mirror as curves_module
from surreal.orchestrator.backends.kube.run_folder import pod_source as pod_files
from surreal.orchestrator.backends.kube.run_folder import reader_pod as reader
from surreal.orchestrator.backends.kube.run_folder.folder import File, RunFolder
from surreal.orchestrator.backends.kube.run_folder.locate import Glance, Seen, folder_of
from surreal.orchestrator.backends.kube.run_folder.mirror import metrics_folder
from surreal.orchestrator.backends.kube.run_folder.pod_source import PodFiles
from surreal.orchestrator.backends.kube.run_folder.reader_pod import ReaderFiles, reader_pod
from surreal.orchestrator.backends.kube.run_folder.store_source import StoreFiles
from surreal.orchestrator.backends.kube.status.snapshot import INDEX, Snapshot
from surreal.orchestrator.plan.model import PlannedStorage
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.apiserver import Server, api_server
from tests.orchestrator.kube.pipes import Pipes, reading
from tests.orchestrator.kube.pod_security import restricted
from tests.orchestrator.runs import plan, until

RUN = "0123abcd"
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A run folder as it is in a pod."""
    folder = tmp_path / "there"
    for part in ("metrics", "logs"):
        (folder / part).mkdir(parents=True)
    (folder / "metrics" / "metrics.jsonl").write_text(json.dumps({"steps": 5, "updates": 1}) + "\n")
    return folder


@pytest.fixture
def connections(there: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Pipes]]:
    """What was opened to pods, each a real process that reads the folder `there`."""
    opened: list[Pipes] = []

    def connect(*_where: Any) -> Pipes:
        opened.append(reading(there))
        return opened[-1]

    monkeypatch.setattr(pod_files, "connect", connect)
    yield opened
    for each in opened:
        each.close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with api_server(tmp_path) as server:
        yield server.api()


def pod(role: str = "learner", index: int = 0, phase: str = "Running", name: str = "", **marks: str) -> Object:
    """A pod of the run; `marks` are annotations."""
    state = {"Running": {"running": {"startedAt": "2026-05-01T10:00:00Z"}}, "Pending": {"waiting": {}}}
    times = {"startedAt": "2026-05-01T10:00:00Z", "finishedAt": "2026-05-01T10:30:00Z"}
    ended = {"terminated": {"exitCode": 0 if phase == "Succeeded" else 1, **times}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name or f"toy-{role}-{index}-abcde",
            "labels": labels("toy", RUN, role),
            "annotations": {INDEX: str(index), "surreal.dev/attempt": "1", **marks},
            "creationTimestamp": "2026-05-01T10:00:00Z",
        },
        "status": {"phase": phase, "containerStatuses": [{"name": "worker", "state": state.get(phase, ended)}]},
    }


def seen(*pods: Object, storage: PlannedStorage | None = None, claim: bool = False, over: bool = False) -> Snapshot:
    """A snapshot of the toy run with these pods."""
    planned = plan().model_copy(update={"storage": storage or PlannedStorage(kind="emptyDir")})
    metadata = {"name": "toy", "labels": labels("toy", RUN), "uid": "u-1"}
    root = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    held = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {**metadata, "uid": "u-2"}}
    job = {"kind": "Job", "metadata": {"name": "toy-learner", "labels": labels("toy", RUN, "learner")}}
    job["status"] = COMPLETE if over else {}
    return Snapshot(
        "toy", "lab", datetime.now(UTC), root, planned, (job,), pods=tuple(pods), claim=held if claim else None
    )


def test_any_bytes_come_as_they_are(api: Api, there: Path, connections: list[Pipes]) -> None:
    noise = os.urandom(2_000_000)
    (there / "noise").write_bytes(noise)
    with folder_of(api, seen(pod())) as found:
        assert found.read("noise") == noise
        assert found.read("noise", 10) == noise[-10:]
        assert found.read("nothing") is None and found.read("nothing", 10) is None
        (there / "empty").touch()
        assert found.read("empty") == b""
        assert found.tails({"noise": 3, "nothing": 3}) == {"noise": noise[-3:], "nothing": None}
        assert [file.name for file in found.list()] == ["empty", "metrics/metrics.jsonl", "noise"]
    assert len(connections) == 1 and connections[0].process.returncode is not None


def test_a_connection_that_was_lost_is_made_again(api: Api, connections: list[Pipes]) -> None:
    with folder_of(api, seen(pod())) as found:
        assert found.read("metrics/metrics.jsonl")
        connections[0].process.kill()
        connections[0].process.wait()
        assert found.read("metrics/metrics.jsonl")
    assert len(connections) == 2


def test_a_pod_that_cannot_show_its_files_is_said_with_its_last_words(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Pipes] = []

    def connect(*_where: Any) -> Pipes:
        opened.append(Pipes(["sh", "-c", "echo 'no module surreal.protocol.worker.file_server' >&2; exit 1"]))
        return opened[-1]

    monkeypatch.setattr(pod_files, "connect", connect)
    with pytest.raises(SurrealError) as caught:
        PodFiles(api, "toy-learner-0-abcde").files("")
    assert "pod toy-learner-0-abcde: does not show its files: no module surreal.protocol.worker.file_server" in str(
        caught.value
    )
    assert len(opened) == 1


@pytest.mark.parametrize("said", ["nonsense\\n", '{"bytes": 99999999999}\\n', '{"bytes": -1}\\n', "[]\\n"])
def test_an_answer_that_makes_no_sense_is_an_error_and_costs_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr(pod_files, "connect", lambda *_where: Pipes(["sh", "-c", f"printf '{said}'; sleep 60"]))
    with pytest.raises(SurrealError, match="does not show its files"):
        PodFiles(api, "toy-learner-0-abcde").files("")


def test_a_copy_fetches_only_what_is_new(
    api: Api, there: Path, tmp_path: Path, connections: list[Pipes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "CHUNK", 1000)
    local = tmp_path / "here"
    curve = there / "metrics" / "events"
    curve.write_bytes(b"a" * 2500)
    (there / "logs" / "big.log").write_bytes(b"x" * 100)
    with folder_of(api, seen(pod())) as found:
        assert found.mirror(local, "metrics/") == {"metrics/events": 0, "metrics/metrics.jsonl": 0}
        assert found.mirror(local, "metrics/") == {}
        with curve.open("ab") as file:
            file.write(b"b" * 1500)
        assert found.mirror(local, "metrics/") == {"metrics/events": 2500}
        assert (local / "metrics" / "events").read_bytes() == b"a" * 2500 + b"b" * 1500
        # another file in its place, as a run that began again writes it
        curve.unlink()
        (there / "metrics" / "other").write_bytes(b"")
        curve.write_bytes(b"c" * 5000)
        assert found.mirror(local, "metrics/")["metrics/events"] == 0
        assert (local / "metrics" / "events").read_bytes() == b"c" * 5000
        assert (local / "metrics" / "events").stat().st_mtime == curve.stat().st_mtime
        assert found.mirror(local, "logs/", newest=30) == {"logs/big.log": 70}
        assert (local / "logs" / "big.log").read_bytes() == b"\0" * 70 + b"x" * 30
        assert sorted(path.name for path in (local / "metrics").iterdir()) == ["events", "metrics.jsonl", "other"]
        monkeypatch.setattr(files_module, "MOST_MIRRORED", 4000)
        (there / "metrics" / "large").write_bytes(b"d" * 5000)
        with pytest.raises(SurrealError, match="more than is copied here at once"):
            found.mirror(local, "metrics/")


@pytest.mark.parametrize("name", ["../evil", "/etc/cron.d/evil", "metrics/../../evil", "metrics//evil", "a\\b", ""])
def test_a_name_that_leads_out_of_the_copy_is_refused(tmp_path: Path, name: str) -> None:
    class Hostile:
        def files(self, prefix: str) -> list[File]:
            return [File(name, 4, 0.0, 1)]

        def parts(self, wanted: Any) -> list[bytes | None]:
            return [b"evil" for _ in wanted]

        def close(self) -> None:
            pass

    with pytest.raises(SurrealError, match="cannot be copied"):
        RunFolder(Hostile()).mirror(tmp_path / "here")
    assert not (tmp_path / "evil").exists()


def test_a_store_is_read_from_here(api: Api, there: Path, tmp_path: Path) -> None:
    runs = tmp_path / "bucket" / "toy"
    runs.parent.mkdir()
    there.rename(runs)
    (runs / "metrics" / "events").write_bytes(b"a" * 100)
    storage = PlannedStorage(kind="url", url=f"file://{tmp_path}/bucket/")
    with folder_of(api, seen(pod(phase="Succeeded"), storage=storage, over=True)) as found:
        assert [file.name for file in found.list("metrics/")] == ["metrics/events", "metrics/metrics.jsonl"]
        assert found.read("metrics/events") == b"a" * 100 and found.read("metrics/events", 7) == b"a" * 7
        assert found.read("metrics/none") is None
        local = tmp_path / "here"
        assert len(found.mirror(local, "metrics/")) == 2 and found.mirror(local, "metrics/") == {}
        (runs / "metrics" / "events").write_bytes(b"b" * 200)
        assert found.mirror(local, "metrics/") == {"metrics/events": 0}
        assert (local / "metrics" / "events").read_bytes() == b"b" * 200


def test_a_store_that_cannot_be_read_from_here_is_said(tmp_path: Path) -> None:
    for url in ("nosuch://bucket/toy", "s3://bucket/toy"):
        with pytest.raises(SurrealError, match=f"{url}: cannot read it from here"):
            StoreFiles(url).files("metrics/")


def test_while_the_pod_runs_it_is_asked_and_not_the_store(api: Api) -> None:
    storage = PlannedStorage(kind="url", url="s3://bucket")
    assert isinstance(folder_of(api, seen(pod(), storage=storage))._source, PodFiles)
    assert isinstance(folder_of(api, seen(pod(phase="Failed"), storage=storage))._source, StoreFiles)


def test_a_claim_is_read_by_a_pod_of_its_own_and_files_that_went_with_a_pod_are_said_to_be_gone(api: Api) -> None:
    claimed = PlannedStorage(kind="claim")
    assert isinstance(folder_of(api, seen(storage=claimed, claim=True, over=True))._source, ReaderFiles)
    with pytest.raises(SurrealError, match="not at hand yet: its pod toy-learner-0-abcde is starting"):
        folder_of(api, seen(pod(phase="Pending"), storage=claimed, claim=True))
    with pytest.raises(SurrealError, match="toy has no files yet: the pod of its learner does not run"):
        folder_of(api, seen(pod(phase="Pending")))
    with pytest.raises(
        SurrealError, match=r"were in its learner's pod \(spec.storage.kind: emptyDir\) and went with it"
    ):
        folder_of(api, seen(pod(phase="Succeeded"), over=True))


@pytest.mark.parametrize("left", ["root", "claim only"])
def test_the_reader_goes_with_the_experiment_and_may_do_nothing_but_read(left: str) -> None:
    snapshot = seen(storage=PlannedStorage(kind="claim"), claim=True, over=True)
    if left == "claim only":
        snapshot = replace(snapshot, root=None, plan=None, jobs=())
    made = reader_pod(snapshot)
    assert restricted(made["spec"]) == []
    assert made["metadata"]["ownerReferences"][0]["uid"] == ("u-1" if left == "root" else "u-2")
    assert made["metadata"]["labels"] == {**labels("toy", RUN), "sidecar.istio.io/inject": "false"}
    spec = made["spec"]
    assert spec["activeDeadlineSeconds"] == 600 and spec["automountServiceAccountToken"] is False
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "toy", "readOnly": True}
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def lives(server: Server) -> Snapshot:
    """A run that is over, of which the server has the root."""
    snapshot = seen(claim=True, over=True)
    assert snapshot.root
    return replace(snapshot, root=server.api().post("ConfigMap", snapshot.root))


def test_a_reader_is_started_once_and_removed_at_the_end(tmp_path: Path, connections: list[Pipes]) -> None:
    with api_server(tmp_path) as server:

        def node(_seconds: float) -> None:
            """What the cluster does while we wait."""
            for made in server.api().list("Pod"):
                server.api().patch("Pod", made["metadata"]["name"], {"status": {"phase": "Running"}})

        with folder_of(server.api(pause=node), lives(server)) as found:
            assert found.read("metrics/metrics.jsonl") and found.list("metrics/")
            assert [each["metadata"]["generateName"] for each in server.api().list("Pod")] == ["toy-reader-"]
        assert server.api().list("Pod") == []
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]},
            "does not start: ErrImagePull: not found; it is removed again",
        ),
        (
            {"conditions": [{"status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]},
            "does not start: Unschedulable: 0/1 nodes are available; it is removed again",
        ),
    ],
)
def test_a_reader_that_does_not_start_is_removed_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: Object, words: str
) -> None:
    monkeypatch.setattr(reader, "START_SECONDS", 1.0)
    with api_server(tmp_path) as server:

        def node(_seconds: float) -> None:
            for made in server.api().list("Pod"):
                server.api().patch("Pod", made["metadata"]["name"], {"status": {"phase": "Pending", **status}})

        with (
            pytest.raises(SurrealError, match=words),
            folder_of(server.api(pause=node), lives(server)) as found,
        ):
            found.list()
        assert server.api().list("Pod") == []


def test_a_glance_tells_progress_and_channels_over_one_connection(
    api: Api, there: Path, connections: list[Pipes]
) -> None:
    still = {"actor/0": [40.0, "is inside env.step (my_env.py:12)"]}
    (there / "channels.json").write_text(json.dumps({"time": time.time(), "still": still, "channels": []}))
    glance = Glance(api)
    shown = glance.look(seen(pod()))
    assert shown.still == {"actor/0": (40.0, "is inside env.step (my_env.py:12)")}
    (there / "channels.json").write_text(json.dumps({"time": time.time() - 50, "channels": []}))
    assert glance.look(seen(pod())).still["learner/0"][1].startswith("does not answer"), "its writer is frozen"
    progress, channels = shown.progress, shown.channels
    assert (progress.steps, progress.updates, channels) == (5, 1, ())
    with (there / "metrics" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"steps": 9, "updates": 2}) + "\n")
    shown = glance.look(seen(pod()))
    progress, channels = shown.progress, shown.channels
    assert (progress.steps, progress.updates, channels) == (9, 2, ())
    assert len(connections) == 1
    # the pod was replaced
    assert glance.look(seen(pod(phase="Failed"), pod(name="toy-learner-0-fghij"))).progress.steps == 9
    assert len(connections) == 2 and connections[0].process.returncode is not None
    assert glance.look(seen(pod(phase="Pending"))) == Seen()
    assert connections[1].process.returncode is not None


def test_a_glance_that_fails_is_no_error_and_is_not_tried_again_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch, connections: list[Pipes]
) -> None:
    def refuse(*_where: Any) -> Pipes:
        asked.append(True)
        raise SurrealError("you may not use exec")

    asked: list[bool] = []
    works: Callable[..., Any] = vars(pod_files)["connect"]
    monkeypatch.setattr(pod_files, "connect", refuse)
    glance = Glance(api)
    for _ in range(3):
        assert glance.look(seen(pod())) == Seen()
    assert len(asked) == 1
    for _ in range(9):
        glance._not_before = 0.0
        glance.look(seen(pod()))
    assert glance._not_before > time.monotonic() + folder_module.RARELY_SECONDS / 2
    monkeypatch.setattr(pod_files, "connect", works)
    monkeypatch.setattr(folder_module, "AGAIN_SECONDS", 0.0)
    fresh = Glance(api)
    assert fresh.look(seen(pod())).progress.steps == 5
    fresh.close()


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Slow:
        """A pod that says something every second, and never all."""

        def send(self, *_: Any) -> None:
            """Take the question."""

        def receive(self, _seconds: float) -> tuple[int, bytes]:
            nonlocal now
            now += 1.0
            return 1, b"x"

        def close(self) -> None:
            """End."""

    monkeypatch.setattr(pod_files, "connect", lambda *_where: Slow())
    monkeypatch.setattr(pod_files, "time", SimpleNamespace(monotonic=lambda: now))
    with pytest.raises(SurrealError, match="its answer is not there after 20 s"):
        PodFiles(api, "toy-learner-0-abcde", 5.0).parts([("progress.json", 0, 10)])
    assert now == pytest.approx(21.0)


def test_curves_are_copied_while_the_run_goes_on_and_over_a_new_pod(
    tmp_path: Path, there: Path, connections: list[Pipes], monkeypatch: pytest.MonkeyPatch
) -> None:
    works: Callable[..., Any] = vars(pod_files)["connect"]

    def connect(api: Api, name: str, *rest: Any) -> Pipes:
        api.get("Pod", name)  # raises where it is gone
        asked.append(name)
        made: Pipes = works()
        return made

    asked: list[str] = []
    monkeypatch.setattr(pod_files, "connect", connect)
    monkeypatch.setattr(curves_module, "SECONDS", 0.05)
    rows = there / "metrics" / "metrics.jsonl"
    with api_server(tmp_path) as server:
        api = server.api()
        planned = seen().plan
        assert planned
        root = {"name": "toy", "labels": {**labels("toy", RUN), ROOT: "true"}}
        api.post("ConfigMap", {"metadata": root, "data": {PLAN_KEY: planned.to_json()}})
        api.post("Pod", pod())
        with metrics_folder(api, "toy") as folder:
            copy = folder / "metrics.jsonl"
            assert copy.read_text() == rows.read_text()
            rows.write_text(rows.read_text() * 2)
            until(lambda: copy.read_text() == rows.read_text(), "new rows come")
            api.delete("Pod", "toy-learner-0-abcde")
            connections[0].process.kill()
            looks = len(server.requests)
            until(lambda: len(server.requests) > looks + 20, "another pod is looked for")
            rows.write_text(rows.read_text() * 2)
            api.post("Pod", pod(name="toy-learner-0-fghij"))
            until(lambda: copy.read_text() == rows.read_text(), "new rows come from the new pod")
        assert not folder.exists() and set(asked) == {"toy-learner-0-abcde", "toy-learner-0-fghij"}
        assert connections[-1].process.returncode is not None


def test_curves_of_a_run_that_has_none_yet_are_an_error(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        planned = seen().plan
        assert planned
        root = {"name": "toy", "labels": {**labels("toy", RUN), ROOT: "true"}}
        server.api().post("ConfigMap", {"metadata": root, "data": {PLAN_KEY: planned.to_json()}})
        with pytest.raises(SurrealError, match="toy has no files yet"), metrics_folder(server.api(), "toy"):
            pass
