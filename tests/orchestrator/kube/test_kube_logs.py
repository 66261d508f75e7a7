"""The logs of a run in a cluster as one stream."""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.logs import follow as following
from surreal.orchestrator.backends.kube.logs import follow as logs
from surreal.orchestrator.backends.kube.logs.pod_log import PodStream
from surreal.orchestrator.backends.kube.names import CREATED, PLAN_KEY, ROOT, labels
from surreal.orchestrator.backends.kube.run_folder import pod_source as pod_files
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.log_files import LogLine
from surreal.protocol.errors import NotFound
from surreal.provisioner.kube import client as api_module
from tests.orchestrator.kube.apiserver import Server, api_server
from tests.orchestrator.kube.pipes import Pipes, reading
from tests.orchestrator.kube.test_folder import pod
from tests.orchestrator.runs import plan, until

RUN = "0123abcd"
START = datetime(2026, 5, 1, 10, tzinfo=UTC)
FAILURES = "batch.kubernetes.io/job-index-failure-count"


class Log:
    """The log of a pod as its node has it: grows, is followed, and its stream can be cut."""

    def __init__(self) -> None:
        self.lines: list[tuple[datetime, str]] = []
        self.cut_after: list[int] = []
        """Of the next streams, after how many lines the connection is lost; then they hold."""
        self.streams = 0
        self._changed = threading.Condition()
        self.ended = False

    def write(self, text: str, seconds: float | None = None) -> None:
        """A line, so many seconds after START; without, 1 ms after the last."""
        last = self.lines[-1][0] if self.lines else START
        at = last + timedelta(milliseconds=1) if seconds is None else START + timedelta(seconds=seconds)
        with self._changed:
            self.lines.append((at, text))
            self._changed.notify_all()

    def end(self) -> None:
        """The process has ended."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def serve(self, query: dict[str, str]) -> Iterator[bytes]:
        """As the API server streams it: from a whole second on, line by line."""
        self.streams += 1
        cut = self.cut_after.pop(0) if self.cut_after else None
        since = datetime.fromisoformat(query.get("sinceTime", "2000-01-01T00:00:00Z"))
        wanted = [each for each in self.lines if each[0].replace(microsecond=0) >= since]
        given = len(self.lines) - len(wanted[-int(query["tailLines"]) :] if "tailLines" in query else wanted)
        told = 0
        while True:
            with self._changed:
                while query.get("follow") and not self.ended and given == len(self.lines):
                    self._changed.wait(10)
                new = self.lines[given:]
            for at, text in new:
                if told == cut:
                    raise OSError("cut")
                yield f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06}000Z {text}\n".encode()
                told += 1
            given += len(new)
            if not query.get("follow") or self.ended:
                return


class Cluster:
    """A run of the toy algorithm in the API double."""

    def __init__(self, server: Server, planned: Plan) -> None:
        self.server = server
        self.api = server.api()
        self.logs: dict[str, Log] = {}
        marks = {CREATED: START.isoformat()}
        metadata = {"name": "toy", "labels": {**labels("toy", RUN), ROOT: "true"}, "annotations": marks}
        self.api.post("ConfigMap", {"metadata": metadata, "data": {PLAN_KEY: planned.to_json()}})
        for role in planned.roles:
            spec = {"completions": role.replicas}
            metadata = {"name": f"toy-{role.name}", "labels": labels("toy", RUN, role.name)}
            self.api.post("Job", {"metadata": metadata, "spec": spec})

    def start(self, role: str, index: int = 0, name: str = "", **marks: str) -> Log:
        """A pod that runs; its log."""
        made = pod(role, index, name=name, **marks)
        self.api.post("Pod", made)
        log = self.logs[made["metadata"]["name"]] = Log()
        self.server.logs[made["metadata"]["name"]] = log.serve
        return log

    def end(self, name: str, phase: str = "Succeeded") -> None:
        """A pod whose process has ended."""
        self.api.patch("Pod", name, {"status": pod(phase=phase)["status"]})
        self.logs[name].end()

    def finish(self) -> None:
        """The learner's Job is complete, and every pod has ended."""
        for name, log in self.logs.items():
            if not log.ended and self.api.find("Pod", name):
                self.end(name)
        complete = {"type": "Complete", "status": "True"}
        self.api.patch(
            "Job", "toy-learner", {"status": {"conditions": [complete], "completionTime": "2026-05-01T11:00:00Z"}}
        )

    def read(self, source: str | None = None, tail: int | None = None, follow: bool = False) -> list[str]:
        """All lines, behind their sources."""
        return [shown(line) for line in logs.read(self.api, "toy", source, tail, follow)]


def shown(line: LogLine) -> str:
    return f"{line.source} {line.text}"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.05)
    with api_server(tmp_path) as server:
        made = Cluster(server, plan())
        yield made
        for log in made.logs.values():
            log.end()


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The run folder that the learner's pod has."""
    folder = tmp_path / "there"
    (folder / "logs").mkdir(parents=True)
    opened: list[Pipes] = []

    def connect(*_where: Any) -> Pipes:
        opened.append(reading(folder))
        return opened[-1]

    monkeypatch.setattr(pod_files, "connect", connect)
    yield folder
    for each in opened:
        each.close()


def followed(cluster: Cluster, source: str | None = None, tail: int | None = None) -> "tuple[Following, list[str]]":
    """Somebody who follows, in a thread, and what they have read."""
    read: list[str] = []
    following = Following(cluster, source, tail, read)
    following.start()
    return following, read


class Following(threading.Thread):
    def __init__(self, cluster: Cluster, source: str | None, tail: int | None, read: list[str]) -> None:
        super().__init__()
        self._what, self._read = (cluster.api, "toy", source, tail, True), read
        self._changed = threading.Condition()

    def run(self) -> None:
        for line in logs.read(*self._what):
            with self._changed:
                self._read.append(shown(line))
                self._changed.notify_all()

    def until(self, line: str) -> None:
        """Wait for a line; the seconds only bound a failure."""
        with self._changed:
            assert self._changed.wait_for(lambda: line in self._read, 120), f"{line!r} is not in {self._read}"

    def ended(self) -> None:
        self.join(120)
        assert not self.is_alive(), f"still following after {self._read}"


def test_lines_of_all_pods_are_merged_by_time(cluster: Cluster) -> None:
    learner, actor = cluster.start("learner"), cluster.start("actor", 1)
    learner.write("one", 1)
    actor.write("two", 2)
    learner.write("three", 3)
    learner.write("and more", 3)
    actor.write("four", 4)
    assert cluster.read("actor") == ["actor/1 two", "actor/1 four"]
    everything = [line for line in cluster.read() if not line.startswith("supervisor")]
    assert everything == ["learner/0 one", "actor/1 two", "learner/0 three", "learner/0 and more", "actor/1 four"]
    assert cluster.read(tail=2)[-2:] != [] and len(cluster.read(tail=2)) == 2
    assert cluster.read("learner", tail=1) == ["learner/0 and more"] and cluster.read("learner", tail=0) == []


def test_an_unknown_source_gets_the_nearest_and_an_unknown_run_all_there_are(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match=r"toy: has no role or process 'acter' \(did you mean 'actor'\?\)"):
        cluster.read("acter")
    with pytest.raises(NotFound, match="There are: toy"):
        list(logs.read(cluster.api, "toi"))


def test_following_ends_with_the_run_and_has_every_line_once(cluster: Cluster) -> None:
    learner, actor = cluster.start("learner"), cluster.start("actor")
    learner.write("before")
    thread, read = followed(cluster)
    thread.until("learner/0 before")
    actor.write("now")
    thread.until("actor/0 now")
    learner.write("last")
    cluster.finish()
    thread.ended()
    assert [line for line in read if not line.startswith("supervisor")] == [
        "learner/0 before",
        "actor/0 now",
        "learner/0 last",
    ]
    # a line of a pod may come after it: its stream is read by a thread of its own
    assert [line for line in read if line.endswith("INFO the run is over: succeeded")]


def test_a_stream_that_is_cut_goes_on_without_a_gap_and_without_a_line_twice(cluster: Cluster) -> None:
    learner = cluster.start("learner")
    for number in range(20):
        learner.write(f"line {number}", number / 4 if number < 10 else 3)  # many in one second and at one moment
    # the history is whole; then the connection is lost again and again
    thread, read = followed(cluster, "learner")
    thread.until("learner/0 line 19")
    learner.cut_after = [1, 12, 15, 16]
    for number in range(20, 30):
        learner.write(f"line {number}", 3 if number < 25 else 4)
        thread.until(f"learner/0 line {number}")
    cluster.finish()
    thread.ended()
    assert read == [f"learner/0 line {number}" for number in range(30)]
    assert learner.streams >= 6


def test_a_silent_stream_is_opened_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "RELIST", 0.3)
    learner = cluster.start("learner")
    learner.write("first")
    thread, read = followed(cluster, "learner")
    thread.until("learner/0 first")
    until(lambda: learner.streams >= 4, "the silent stream is opened again")
    learner.write("second")
    thread.until("learner/0 second")
    cluster.finish()
    thread.ended()
    assert read == ["learner/0 first", "learner/0 second"]


def test_a_pod_in_the_place_of_another_is_followed_too(cluster: Cluster) -> None:
    cluster.start("learner")
    first = cluster.start("actor", 0, "toy-actor-0-first")
    thread, read = followed(cluster, "actor")
    first.write("hello")
    thread.until("actor/0 hello")
    cluster.end("toy-actor-0-first", "Failed")
    second = cluster.start("actor", 0, "toy-actor-0-second", **{FAILURES: "1"})
    second.write("hello again")
    thread.until("actor/0 hello again")
    cluster.finish()
    thread.ended()
    assert read == ["actor/0 hello", "actor/0 hello again"]


def test_a_pod_that_is_deleted_ends_nothing(cluster: Cluster) -> None:
    learner, actor = cluster.start("learner"), cluster.start("actor")
    thread, _ = followed(cluster)
    actor.write("one")
    thread.until("actor/0 one")
    actor.end()
    cluster.api.delete("Pod", "toy-actor-0-abcde")
    learner.write("two")
    thread.until("learner/0 two")
    cluster.finish()
    thread.ended()


def test_an_api_server_that_fails_meanwhile_is_no_end(cluster: Cluster) -> None:
    learner = cluster.start("learner")
    learner.write("one")
    thread, _ = followed(cluster, "learner")
    thread.until("learner/0 one")
    cluster.server.fault(403, times=8, verb="GET", kind="Pod")
    learner.cut_after = [0]
    learner.write("two")
    thread.until("learner/0 two")
    cluster.finish()
    thread.ended()
    assert any("trying again, the run is not affected" in text for text in cluster.server.said)


def test_following_a_run_that_is_deleted_ends(cluster: Cluster) -> None:
    cluster.start("learner").write("one")
    thread, _ = followed(cluster)
    thread.until("learner/0 one")
    for name in list(cluster.logs):
        cluster.logs[name].end()
        cluster.api.delete("Pod", name)
    for kind, name in (("Job", "toy-learner"), ("Job", "toy-actor"), ("Job", "toy-evaluator"), ("ConfigMap", "toy")):
        cluster.api.delete(kind, name)
    thread.ended()
    assert "toy was deleted" in cluster.server.said


def test_who_stops_listening_leaves_no_thread_that_reads(cluster: Cluster) -> None:
    cluster.start("learner").write("one")
    lines = logs.read(cluster.api, "toy", "learner", follow=True)
    assert shown(next(lines)) == "learner/0 one"
    cluster.start("actor")
    lines.close()  # type: ignore[attr-defined]
    assert [each.name for each in threading.enumerate() if "_read" in each.name] == []


def test_starts_that_no_pod_tells_of_come_from_the_run_folder_and_others_do_not(
    cluster: Cluster, run_folder: Path
) -> None:
    kept = {
        "actor-0.100000.log": "10:00:01.000 INFO first life\n",
        "actor-0.100001.log": "10:00:05.000 INFO second life\n",
        "actor-1.100000.log": "10:00:02.000 INFO only life\n",
    }
    for name, text in kept.items():
        (run_folder / "logs" / name).write_text(text)
        os.utime(run_folder / "logs" / name, (START.timestamp() + 6, START.timestamp() + 6))
    cluster.start("learner").write("learns", 3)
    cluster.start("actor", 0, **{FAILURES: "1"}).write("second life in the pod", 5)
    cluster.start("actor", 1).write("only life in the pod", 2)
    lines = [line for line in cluster.read() if not line.startswith("supervisor")]
    assert cluster.server.said == []
    assert lines == [
        "actor/0 10:00:01.000 INFO first life",
        "actor/1 only life in the pod",
        "learner/0 learns",
        "actor/0 second life in the pod",
    ]


def test_of_a_run_whose_objects_are_gone_the_claim_tells(tmp_path: Path, run_folder: Path) -> None:
    (run_folder / "logs" / "actor-1.100000.log").write_text("10:00:02.000 INFO an actor\n")
    (run_folder / "logs" / "learner-0.100000.log").write_text("10:00:03.000 INFO the learner\n")
    with api_server(tmp_path) as server:
        started: list[str] = []

        def node(_seconds: float) -> None:
            for made in server.api().list("Pod"):
                started.append(made["metadata"]["name"])
                server.api().patch("Pod", started[-1], {"status": {"phase": "Running"}})

        api = server.api(pause=node)
        api.post("PersistentVolumeClaim", {"metadata": {"name": "toy", "labels": labels("toy", RUN)}})
        read = [shown(line) for line in logs.read(api, "toy") if line.source != "supervisor"]
        assert read == ["actor/1 10:00:02.000 INFO an actor", "learner/0 10:00:03.000 INFO the learner"]
        assert [shown(line) for line in logs.read(api, "toy", "learner")] == read[1:]
        assert len(set(started)) == 2 and api.list("Pod") == []


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(cluster: Cluster) -> None:
    cluster.start("learner").write("learns")
    broken = cluster.start("actor")
    broken.write("one", 0)
    broken.write("two", 1)
    broken.cut_after = [1]
    lines = [line for line in cluster.read() if not line.startswith("supervisor")]
    assert sorted(lines) == ["actor/0 one", "learner/0 learns"]
    assert any("some lines are missing" in text for text in cluster.server.said)


def test_of_more_pods_than_streams_the_run_folder_tells(
    tmp_path: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.05)
    planned = plan()
    many = planned.role("actor").model_copy(update={"replicas": 100})
    planned = planned.model_copy(update={"roles": (many, planned.role("learner"))})
    with api_server(tmp_path) as server:
        cluster = Cluster(server, planned)
        learner = cluster.start("learner")
        learner.write("learns", 1)
        for index in range(100):
            cluster.api.post("Pod", pod("actor", index))
            kept = run_folder / "logs" / f"actor-{index}.100000.log"
            kept.write_text(f"10:00:02.{index:03} INFO actor {index}\n")
        thread, read = followed(cluster)
        thread.until("actor/99 10:00:02.099 INFO actor 99")
        with (run_folder / "logs" / "actor-7.100000.log").open("a") as file:
            file.write("10:00:03.000 INFO actor 7 again\n10:00:04.000 INFO half a")
            file.flush()
            thread.until("actor/7 10:00:03.000 INFO actor 7 again")
            file.write(" line\n")
        thread.until("actor/7 10:00:04.000 INFO half a line")
        cluster.finish()
        thread.ended()
        own = [line for line in read if not line.startswith("supervisor")]
        assert len(own) == len(set(own)) == 103
        assert sum("/log" in path for _, path in server.requests) <= 4  # the learner's


def test_the_supervisor_tells_what_has_happened_to_the_pods(cluster: Cluster) -> None:
    for index in range(2):
        cluster.start("actor", index)
    cluster.start("learner", 0)
    cluster.end("toy-actor-1-abcde", "Failed")
    cluster.finish()
    told = [line.removeprefix("supervisor ") for line in cluster.read("supervisor")]
    assert any("created in namespace lab" in line for line in told)
    assert any("INFO started actor/0 (), actor/1 (), learner/0 ()" in line for line in told)
    assert any("actor/1 failed (exit 1)" in line for line in told)
    assert any("the run is over: succeeded" in line for line in told)


@pytest.mark.parametrize(
    ("text", "stamp", "line"),
    [
        (b"2026-05-01T10:00:00Z hello", "2026-05-01T10:00:00.000000000", "hello"),
        (b"2026-05-01T10:00:00.12Z a b", "2026-05-01T10:00:00.120000000", "a b"),
        (b"2026-05-01T12:00:00.123456789+02:00 x\r", "2026-05-01T10:00:00.123456789", "x"),
        (b"unable to retrieve container logs", "", "unable to retrieve container logs"),
        (b"2026-99-01T10:00:00Z x", "", "2026-99-01T10:00:00Z x"),
        (b"2026-05-01T10:00:00Z \xff", "2026-05-01T10:00:00.000000000", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_times_are_read_in_every_form(cluster: Cluster, text: bytes, stamp: str, line: str) -> None:
    made = pod()
    cluster.api.post("Pod", made)
    cluster.server.logs[made["metadata"]["name"]] = lambda _query: [text[:5], text[5:], b"\n"]
    stream = PodStream(cluster.api, made)
    assert [each.text for each in stream.lines()] == [line] and stream.newest == stamp


def test_the_kubelets_words_for_a_container_that_is_gone_are_no_line_of_the_process(cluster: Cluster) -> None:
    made = pod()
    cluster.api.post("Pod", made)
    told = [b"2026-05-01T10:00:00Z acts\n", b"unable to retrieve container logs for containerd://5ecc"]
    cluster.server.logs[made["metadata"]["name"]] = lambda _query: told
    assert [each.text for each in PodStream(cluster.api, made).lines()] == ["acts"]
