"""Create, resume: all objects, each once, with owners; names that are taken; what is left when the cluster refuses."""

from pathlib import Path

import pytest

from surreal.orchestrator.backends.kube.lifecycle import create as apply
from surreal.orchestrator.backends.kube.lifecycle import delete as remove
from surreal.orchestrator.backends.kube.lifecycle import preflight
from surreal.orchestrator.backends.kube.lifecycle.create import dry_run
from surreal.orchestrator.backends.kube.manifests.render import render
from surreal.orchestrator.backends.kube.names import ATTEMPT, CREATED, RUN, STOPPED, keys_secret
from surreal.orchestrator.run.wiring import key_files
from surreal.protocol.errors import ExitCode, InvalidInput, SurrealError
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube import rendered
from tests.orchestrator.kube.apiserver import NAMESPACE, Server, api_server
from tests.orchestrator.kube.apistore import Failure, quota
from tests.orchestrator.kube.drawn import NAME, drawer


def create(server: Server, **options: object) -> str:
    return apply.create(server.api(), drawer(**options), server.said.append)  # type: ignore[arg-type]


def expected(run: str, **options: object) -> list[str]:
    return sorted(f"{each['kind']}/{each['metadata']['name']}" for each in drawer(**options)(run, 1))  # type: ignore[arg-type]


def test_all_objects_are_made_once_and_the_root_is_sealed(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        run = create(server)
        assert server.store.names() == expected(run)
        root = server.store.get("ConfigMap", NAMESPACE, NAME)
        ender = server.store.get("Job", NAMESPACE, f"{NAME}-learner")
        assert root["metadata"]["annotations"][CREATED]
        assert [owner["uid"] for owner in root["metadata"]["ownerReferences"]] == [ender["metadata"]["uid"]]
        assert ender["metadata"]["ownerReferences"][0]["uid"] == root["metadata"]["uid"]
        assert "ownerReferences" not in server.store.get("PersistentVolumeClaim", NAMESPACE, NAME)["metadata"]
        assert len(server.writes()) <= 20


def test_the_role_that_ends_the_run_has_the_first_job(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        create(server)
        made = [path.rpartition("/")[2] for verb, path in server.requests if verb == "PATCH" and "/jobs/" in path]
        assert made[0] == "toy-learner"
        assert sorted(made[1:]) == ["toy-actor", "toy-evaluator"]


def test_when_the_job_that_ends_the_run_is_removed_all_goes_but_the_results(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        create(server)
        server.api().delete("Job", f"{NAME}-learner", propagation="Foreground")  # as the TTL controller does
        server.store.await_names([f"PersistentVolumeClaim/{NAME}"])


@pytest.mark.parametrize("queued", [False, True])
def test_a_name_that_is_in_use_is_refused_with_who_and_since_when(tmp_path: Path, queued: bool) -> None:
    with api_server(tmp_path) as server:
        server.unknown.clear()
        run = create(server, queued=queued)
        before = server.store.names()
        with pytest.raises(InvalidInput, match=f"'toy' is used by experiment {run} of user ada since 20.*another name"):
            create(server)
        assert server.store.names() == before


@pytest.mark.parametrize(
    ("kind", "name"), [("ConfigMap", NAME), ("Service", NAME), ("ServiceAccount", NAME), ("Job", "toy-actor")]
)
def test_an_object_of_somebody_else_is_never_touched(tmp_path: Path, kind: str, name: str) -> None:
    with api_server(tmp_path) as server:
        server.api().post(kind, {"metadata": {"name": name}, "spec": {}})
        there = server.store.get(kind, NAMESPACE, name)
        with pytest.raises(InvalidInput, match=f"there is a {kind} '?{name}'? in namespace lab that is not surreal's"):
            create(server)
        assert server.store.names() == [f"{kind}/{name}"]
        assert server.store.get(kind, NAMESPACE, name) == there


def test_results_of_an_earlier_run_of_that_name_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        create(server)
        server.api().delete("Job", f"{NAME}-learner")
        server.store.await_names([f"PersistentVolumeClaim/{NAME}"])
        with pytest.raises(InvalidInput, match="surreal delete toy removes it with its results"):
            create(server)
        assert remove.delete(server.api(), NAME, server.said.append) == 1
        create(server)


def test_what_the_cluster_refuses_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.store.admission.append(quota("few-jobs", "Job", 1, lambda: len(server.store.names("Job"))))
        wanted = "quota few-jobs of namespace lab.* requested count/jobs.batch=1, used.*=1, limited.*=1; 0 objects left"
        with pytest.raises(SurrealError, match=wanted):
            create(server)
        assert server.store.names() == []


def test_a_webhook_that_refuses_is_quoted_whole(tmp_path: Path) -> None:
    words = 'admission webhook "policy.example" denied the request: no images from there'

    def refuse(made: dict[str, object]) -> Failure | None:
        return Failure(400, "BadRequest", words) if made["kind"] == "NetworkPolicy" else None

    with api_server(tmp_path) as server:
        server.store.admission.append(refuse)
        with pytest.raises(SurrealError, match=f"{words}; 0 objects left behind"):
            create(server)
        assert server.store.names() == []


def test_a_namespace_that_is_not_there_is_named_with_the_line_that_makes_it(tmp_path: Path) -> None:
    with api_server(tmp_path) as server, pytest.raises(InvalidInput, match="namespace rl does not exist.*create ns rl"):
        apply.create(server.api("rl"), drawer(), server.said.append)
    assert server.store.names() == []


def test_a_namespace_that_is_being_removed_takes_nothing(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.api().patch("Namespace", NAMESPACE, {"status": {"phase": "Terminating"}})
        with pytest.raises(InvalidInput, match="namespace lab is being removed and takes nothing new"):
            create(server)
        assert server.store.names() == []


def test_a_server_side_rehearsal_leaves_nothing_and_names_all_that_is_refused(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        dry_run(server.api(), drawer()("0" * 8, 1))
        assert server.store.names() == []
        server.store.admission.append(quota("no-jobs", "Job", 0, lambda: 0))
        server.store.admission.append(quota("no-services", "Service", 0, lambda: 0))
        with pytest.raises(
            SurrealError, match=r"would refuse 4 of 13 objects:\n.*no-services.*\n.*no-jobs.*\n.*no-jobs"
        ):
            dry_run(server.api(), drawer()("0" * 8, 1))
        assert server.store.names() == []


def test_a_run_that_was_stopped_goes_on_as_its_next_attempt_with_the_same_results(tmp_path: Path) -> None:
    with api_server(tmp_path, runs_jobs=True) as server:
        run, api = create(server), server.api()
        claim = server.store.get("PersistentVolumeClaim", NAMESPACE, NAME)["metadata"]["uid"]
        old = server.store.get("Job", NAMESPACE, f"{NAME}-learner")["metadata"]["uid"]
        assert remove.stop(api, NAME, server.said.append)
        assert server.store.names("Pod") == []
        assert api.get("ConfigMap", NAME)["metadata"]["annotations"][STOPPED]
        assert not remove.stop(api, NAME, server.said.append)
        apply.resume(api, NAME, drawer(), server.said.append)
        ender = api.get("Job", f"{NAME}-learner")
        root = api.get("ConfigMap", NAME)["metadata"]
        assert ender["metadata"]["uid"] != old
        assert ender["spec"]["template"]["metadata"]["annotations"][ATTEMPT] == "2"
        assert (root["annotations"][ATTEMPT], root["labels"][RUN], STOPPED in root["annotations"]) == ("2", run, False)
        assert root["ownerReferences"][0]["uid"] == ender["metadata"]["uid"]
        assert server.store.get("PersistentVolumeClaim", NAMESPACE, NAME)["metadata"]["uid"] == claim
        assert server.store.names("Secret") == [keys_secret(NAME, run)]


def test_a_queued_run_is_stopped_by_removing_its_jobset_and_nothing_else(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.unknown.clear()
        run, api = create(server, queued=True), server.api()
        assert remove.stop(api, NAME, server.said.append)
        assert server.store.names() == [each for each in expected(run, queued=True) if not each.startswith("JobSet/")]
        apply.resume(api, NAME, drawer(queued=True), server.said.append)
        assert server.store.names() == expected(run, queued=True)


def test_a_server_that_is_gone_in_the_middle_says_what_is_there_and_what_to_do(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.fault(503, verb="PATCH", nth=6, times=1000, message="etcd has no leader")
        with pytest.raises(
            SurrealError, match="503 .etcd has no leader.; 7 of 13 objects created; surreal create again"
        ) as raised:
            create(server)
        assert raised.value.exit_code == ExitCode.UNREACHABLE
        assert len(server.store.names()) == 7


@pytest.mark.parametrize("plan", ["thousand", "everything", "queued"])
def test_what_is_rendered_takes_at_most_twenty_writes(tmp_path: Path, plan: str) -> None:
    made = {
        "thousand": lambda: rendered.planned(minimal(roles={"actor": {"replicas": 1000}})),
        "everything": rendered.everything,
        "queued": rendered.queued,
    }[plan]()
    code = rendered.CODE if made.code else None

    def draw(run: str, attempt: int) -> list[Object]:
        return render(made, run, NAMESPACE, keys=key_files(made), code=code, experiment="", attempt=attempt)

    with api_server(tmp_path) as server:
        server.unknown.clear()
        run = apply.create(server.api(), draw, server.said.append)
        assert len(server.writes()) <= 20
        assert server.store.names() == sorted(f"{each['kind']}/{each['metadata']['name']}" for each in draw(run, 1))
        assert preflight.check(server.api(), draw(run, 1)) == []
        remove.delete(server.api(), made.name, server.said.append)
        assert server.store.names() == []
