"""Where the run folder lies, what a stop loses, and where the next attempt begins."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from surreal.cli.main import cli
from surreal.orchestrator.backends.kube.backend import KubeBackend
from surreal.orchestrator.backends.kube.lifecycle.rbac import HANDY, NEEDED, rights
from surreal.orchestrator.backends.kube.lifecycle.storage import loss_at_stop, resolve_storage
from surreal.orchestrator.backends.kube.names import PROGRESS
from surreal.orchestrator.backends.kube.run_folder import locate as outcome
from surreal.orchestrator.backends.kube.run_folder.folder import File, RunFolder
from surreal.orchestrator.backends.kube.run_folder.locate import Seen
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.model import Plan, PlannedStorage
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import OUTCOMES
from surreal.protocol.errors import ExitCode
from surreal.protocol.telemetry.gauges import Progress
from surreal.protocol.worker.termination import OUTCOME_FILE, TerminationMessage
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator import runs
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube import recordings
from tests.orchestrator.kube.apiserver import CONTEXT, NAMESPACE, Server, api_server

EDIT = {(each.verb, each.resource) for each in rights(NEEDED) + rights(HANDY)}
"""Rights of the ClusterRole `edit`, as far as they matter here: storageclasses are not among them."""


def class_named(name: str) -> Object:
    mark = {"storageclass.kubernetes.io/is-default-class": "true"}
    about = {"name": name, "annotations": mark}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": about, "provisioner": "x"}


def auto() -> Plan:
    return runs.plan("toy").model_copy(update={"storage": PlannedStorage(kind="auto", size=2**30)})


@pytest.mark.parametrize("allowed", [None, EDIT])
def test_a_default_class_is_found_with_and_without_the_right_to_list_classes(
    tmp_path: Path, allowed: set[tuple[str, str]] | None
) -> None:
    with api_server(tmp_path) as server:
        server.store.create("StorageClass", "", class_named("fast"), "admin", dry=False)
        server.store.rules.allowed = allowed
        storage = resolve_storage(auto(), server.api()).storage
        assert (storage.kind, storage.class_name) == ("claim", "fast")
        assert storage.note.startswith("claim toy of 1Gi by StorageClass fast")
        assert server.store.names("PersistentVolumeClaim") == [], "nothing was made"


@pytest.mark.parametrize("allowed", [None, EDIT])
def test_a_cluster_without_a_default_class_gives_an_empty_dir_and_says_what_dies_with_it(
    tmp_path: Path, allowed: set[tuple[str, str]] | None
) -> None:
    with api_server(tmp_path) as server:
        server.store.rules.allowed = allowed
        storage = resolve_storage(auto(), server.api()).storage
        assert storage.kind == "emptyDir"
        assert "no default StorageClass: emptyDir of 1Gi of the learner's pod" in storage.note


@pytest.mark.parametrize("allowed", [None, EDIT])
def test_a_claim_that_no_class_serves_is_said_before_its_pods_wait(
    tmp_path: Path, allowed: set[tuple[str, str]] | None
) -> None:
    asked = auto().model_copy(update={"storage": PlannedStorage(kind="claim", size=2**30)})
    with api_server(tmp_path) as server:
        server.store.rules.allowed = allowed
        storage = resolve_storage(asked, server.api()).storage
        assert storage.kind == "claim" and "no default StorageClass: without a class the claim waits" in storage.note
        server.store.create("StorageClass", "", class_named("fast"), "admin", dry=False)
        assert resolve_storage(asked, server.api()).storage.class_name == "fast"


def test_a_user_without_any_right_to_claims_is_told_that_the_class_is_unknown(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.store.rules.allowed = EDIT - {("create", "persistentvolumeclaims")}
        storage = resolve_storage(auto(), server.api()).storage
        assert storage.kind == "emptyDir" and "cannot be seen (missing right" in storage.note


def test_only_the_disk_of_a_pod_is_lost_by_a_stop() -> None:
    seen = recordings.snapshot("running")
    assert loss_at_stop(seen) == ""
    assert seen.plan
    on_disk = seen.plan.model_copy(update={"storage": PlannedStorage(kind="emptyDir")})
    assert "checkpoints of toy lie in the pod of its learner and die with it" in loss_at_stop(
        replace(seen, plan=on_disk)
    )


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, KubeBackend]]:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    with api_server(tmp_path, runs_jobs=True) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        place = KubeBackend(Location("kube", NAMESPACE, CONTEXT, str(server.kubeconfig)))
        yield server, place
        place.close()


def begin(place: KubeBackend, kind: str) -> None:
    experiment = Experiment.from_data(minimal())
    plan = runs.plan("toy").model_copy(update={"storage": PlannedStorage(kind=kind, size=2**30)})
    place.create(experiment, resolve_storage(plan, place.api))


def test_create_says_where_the_run_folder_lies(
    lab: tuple[Server, KubeBackend], capsys: pytest.CaptureFixture[str]
) -> None:
    begin(lab[1], "emptyDir")
    assert (
        "run folder: emptyDir of 1Gi of the learner's pod: metrics, logs and checkpoints die" in capsys.readouterr().err
    )


def test_a_stop_that_loses_checkpoints_wants_a_yes(lab: tuple[Server, KubeBackend]) -> None:
    server, place = lab
    begin(place, "emptyDir")
    refused = CliRunner().invoke(cli, ["stop", "toy"])
    assert "die with it; resume then starts from step 0. Confirmation is required" in str(refused.exception)
    assert not any(job["spec"].get("suspend") for job in place.api.list("Job")), "nothing was stopped"
    done = CliRunner().invoke(cli, ["stop", "toy", "--yes"], standalone_mode=False)
    assert done.return_value == ExitCode.DONE, done.output
    assert all(job["spec"].get("suspend") for job in place.api.list("Job"))


def test_a_stop_that_loses_nothing_asks_nothing(lab: tuple[Server, KubeBackend]) -> None:
    begin(lab[1], "claim")
    done = CliRunner().invoke(cli, ["stop", "toy"], standalone_mode=False)
    assert done.return_value == ExitCode.DONE, done.output


@pytest.mark.parametrize(
    ("kind", "said", "shown"),
    [
        ("emptyDir", "toy resumes from step 0: its checkpoints were in its pod and are gone with it", 0),
        ("claim", "toy resumes from its last checkpoint, at most step 4,096", 4096),
    ],
)
def test_resume_says_from_which_step(
    lab: tuple[Server, KubeBackend], capsys: pytest.CaptureFixture[str], kind: str, said: str, shown: int
) -> None:
    _server, place = lab
    begin(place, kind)
    note = {PROGRESS: '{"steps": 4096, "updates": 4, "time": 1.0}'}
    place.api.patch("ConfigMap", "toy", {"metadata": {"annotations": note}})
    place.stop("toy")
    assert place.status("toy").progress.steps == 4096
    place.resume("toy")
    assert said in capsys.readouterr().err
    assert place.status("toy").progress.steps == shown


def test_progress_that_was_seen_stays_while_no_pod_shows_any(
    lab: tuple[Server, KubeBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, place = lab
    begin(place, "claim")
    seen = Progress(steps=700, total_steps=1000, steps_per_second=50.0)
    monkeypatch.setattr(place, "_look", lambda _seen: Seen(seen, ()))
    assert place.status("toy").progress == seen
    place.reconcile("toy")
    monkeypatch.setattr(place, "_look", lambda _seen: Seen(Progress(), ()))
    after = place.status("toy").progress
    assert (after.steps, after.steps_per_second, after.eta_seconds) == (700, None, None)
    other = KubeBackend(Location("kube", NAMESPACE, CONTEXT, str(server.kubeconfig)))
    assert other.status("toy").progress.steps == 700, "it was noted in the cluster"


class OnlyFiles:
    """A run folder of these files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def files(self, prefix: str) -> list[File]:
        return []

    def parts(self, wanted: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        return [self._files.get(name) for name, _, _ in wanted]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("said", "state"),
    [(TerminationMessage("DONE"), "succeeded"), (TerminationMessage("FATAL", "no legs"), "failed"), (None, "stopped")],
)
def test_wait_finds_the_outcome_of_a_run_whose_objects_are_gone_on_its_claim(
    lab: tuple[Server, KubeBackend],
    monkeypatch: pytest.MonkeyPatch,
    said: TerminationMessage | None,
    state: str,
) -> None:
    server, place = lab
    begin(place, "claim")
    place.api.delete("Job", "toy-learner")
    server.store.await_names(["PersistentVolumeClaim/toy"])
    files = {OUTCOME_FILE: said.line().encode()} if said else {}
    files["metrics/metrics.jsonl"] = b'{"steps": 900, "updates": 9, "time": 1.0}\n'
    monkeypatch.setattr(outcome, "folder_of", lambda *_: RunFolder(OnlyFiles(files)))
    assert place.status("toy").state == "stopped"
    waited = CliRunner().invoke(cli, ["wait", "toy"], standalone_mode=False)
    assert waited.return_value == OUTCOMES[state], waited.output  # type: ignore[index]
    monkeypatch.setattr(outcome, "folder_of", lambda *_: pytest.fail("it was noted, and is not read again"))
    if said:
        place.reconcile("toy")
        assert (place.status("toy").state, place.status("toy").progress.steps) == (state, 900)
