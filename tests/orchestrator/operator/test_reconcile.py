"""An Experiment and its run: made, stopped, resumed, scaled, ended, adopted, refused."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.autoscaling.decision import LOOKS, Signs
from surreal.orchestrator.backends.kube.lifecycle import scaling
from surreal.orchestrator.backends.kube.names import (
    ATTEMPT,
    CREATED,
    EXPERIMENT_KEY,
    FAILED,
    OUTCOME,
    PLAN_KEY,
    RUN,
    STOPPED,
)
from surreal.orchestrator.backends.kube.run_folder.locate import Seen
from surreal.orchestrator.client import Client
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.operator.experiments import reconcile
from surreal.orchestrator.operator.experiments.judge import SOON_S, Patience
from surreal.orchestrator.operator.experiments.place import Place
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from surreal.protocol.telemetry.gauges import Progress
from tests.orchestrator.kube.apiserver import CONTEXT, NAMESPACE
from tests.orchestrator.operator.cluster import NAME, RUN_OBJECTS, Cluster, cluster, node, resource


def test_an_experiment_becomes_the_objects_of_a_run_that_go_with_it(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        status = place.reconcile()
        place.check_whole()
        assert status["observedGeneration"] == 1
        assert status["run"] == place.root()["labels"][RUN]
        assert place.condition("Accepted")["status"] == "True"
        assert place.root()["labels"]["team"] == "rl"
        assert "example.com/tool" not in place.root()["labels"]
        assert any(f"Created: made {RUN_OBJECTS} objects" in each for each in place.events())
        place.person.delete("Experiment", NAME)
        place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])


def test_a_second_look_writes_nothing(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        before = len(place.server.writes())
        place.reconcile()
        assert place.server.writes()[before:] == []


def test_suspending_stops_it_and_it_goes_on_as_the_next_attempt(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        run = place.root()["labels"][RUN]
        place.patch(suspend=True)
        place.reconcile()
        assert place.root()["annotations"][STOPPED]
        place.store.await_names([each for each in place.store.names() if not each.startswith("Pod/")])
        assert place.reconcile()["state"] == "stopped"
        assert place.condition("Suspended")["status"] == "True"
        place.patch(suspend=False)
        place.reconcile()
        root = place.root()
        assert (root["annotations"][ATTEMPT], root["labels"][RUN]) == ("2", run)
        assert STOPPED not in root["annotations"]
        place.check_whole()


def test_one_that_is_suspended_from_the_beginning_has_no_run_yet(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply(suspend=True)
        assert place.reconcile()["state"] == "stopped"
        assert place.left() == [f"Experiment/{NAME}"]
        place.patch(suspend=False)
        place.reconcile()
        place.check_whole()


def test_a_run_that_a_person_stopped_by_hand_is_left_alone(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.person.patch("ConfigMap", NAME, {"metadata": {"annotations": {STOPPED: "2026-01-01T00:00:00+00:00"}}})
        before = place.root()["annotations"][ATTEMPT]
        place.reconcile()
        assert place.root()["annotations"][ATTEMPT] == before


@pytest.mark.parametrize("spec", [{"replicas": 5}, {"roles": {"actor": {"replicas": 5}}}])
def test_other_replicas_make_the_run_go_on_with_so_many_actors(tmp_path: Path, spec: dict[str, Any]) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        place.patch(**spec)
        place.reconcile()
        actors = place.store.get("Job", NAMESPACE, f"{NAME}-actor")["spec"]
        assert (actors["completions"], actors["parallelism"]) == (5, 5)
        assert place.root()["annotations"][ATTEMPT] == "2"
        assert place.condition("Accepted")["status"] == "True"
        assert any("actor" in each and "-> 5" in each for each in place.events())
        before = len(place.server.writes())
        place.reconcile()
        assert place.server.writes()[before:] == []


def test_another_ttl_is_given_to_a_run_that_goes_on_and_to_one_that_is_over(tmp_path: Path) -> None:
    def ttl() -> Any:
        return place.store.get("Job", NAMESPACE, f"{NAME}-learner")["spec"]["ttlSecondsAfterFinished"]

    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.patch(ttlSecondsAfterFinished=60)
        place.reconcile()
        assert (ttl(), place.root()["annotations"][ATTEMPT]) == (60, "1")
        place.end_job("learner", "Complete")
        place.patch(ttlSecondsAfterFinished=3600)
        assert place.reconcile()["state"] == "succeeded"
        assert ttl() == 3600
        before = len(place.server.writes())
        place.reconcile()
        assert place.server.writes()[before:] == []


def test_an_edit_of_what_cannot_change_is_refused_and_the_run_goes_on(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.patch(roles={"actor": {"replicas": 5, "resources": {"cpu": 7}}})
        before = len(place.server.writes())
        place.reconcile()
        assert {path.rpartition("/")[2] for _, path in place.server.writes()[before:]} == {"events", "status"}
        assert place.condition("Accepted")["reason"] == "Invalid"
        assert "spec.roles.actor.resources.cpu: does not change in a run" in place.status()["reason"]
        assert place.status()["state"] == "pending"


def of_an_older_version(place: Cluster) -> str:
    """Write the run's file as a version would have that lacked some keys and had other defaults; return the file."""
    file, _ = strictyaml.load(place.root_data()[EXPERIMENT_KEY], Source("the run"))
    config = file["spec"]["algorithm"]["config"]
    config["gamma"] = 0.9
    del config["desired_kl"], config["value_learning_rate"], file["spec"]["env"]["stepping"], file["spec"]["notify"]
    text = strictyaml.dump(file)
    place.person.patch("ConfigMap", NAME, {"data": {EXPERIMENT_KEY: text}})
    return text


def test_a_run_of_an_older_version_is_scaled_and_keeps_its_own_defaults(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        older = of_an_older_version(place)
        plan = place.root_data()[PLAN_KEY]
        place.patch(replicas=5)
        place.reconcile()
        assert place.condition("Accepted")["status"] == "True", place.condition("Accepted")
        assert place.store.get("Job", NAMESPACE, f"{NAME}-actor")["spec"]["completions"] == 5
        assert place.root_data()[EXPERIMENT_KEY].strip() == older.replace("replicas: 2", "replicas: 5").strip()
        before, now = json.loads(plan), json.loads(place.root_data()[PLAN_KEY])
        assert now["config"] == before["config"]
        assert any("Kept: spec.algorithm.config.desired_kl, spec.algorithm.config.gamma, " in e for e in place.events())


def test_a_run_of_an_older_version_follows_no_edit_of_what_the_spec_says(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        of_an_older_version(place)
        place.patch(algorithm={"name": "ppo", "config": {"gamma": 0.95, "desired_kl": 0.05}})
        place.reconcile()
        said = place.status()["reason"]
        assert "spec.algorithm.config.desired_kl, spec.algorithm.config.gamma: does not change in a run" in said
        assert "value_learning_rate" not in said


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("own:small", "own:large", "network.make"),
        ({"make": "own:net", "width": 8}, {"make": "own:net", "width": 9}, "network.settings.width"),
    ],
)
def test_an_edit_of_a_short_form_is_refused_as_any(tmp_path: Path, before: Any, after: Any, key: str) -> None:
    with cluster(tmp_path) as place:
        place.apply(algorithm={"name": "ppo", "config": {"network": before}})
        place.reconcile()
        place.patch(algorithm={"name": "ppo", "config": {"network": after}})
        place.reconcile()
        assert f"spec.algorithm.config.{key}: does not change in a run" in place.status()["reason"]


def test_an_edit_of_a_key_with_dots_is_refused_as_any(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply(env={"id": "CartPole-v1", "options": {"a.b": 1}})
        place.reconcile()
        place.patch(env={"id": "CartPole-v1", "options": {"a.b": 2}})
        place.reconcile()
        assert "spec.env.options.a.b: does not change in a run" in place.status()["reason"]


def test_a_default_that_a_newer_definition_adds_to_the_spec_is_no_edit(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        of_an_older_version(place)
        place.patch(env={"id": "CartPole-v1", "stepping": "auto"})
        place.reconcile()
        assert place.condition("Accepted")["status"] == "True", place.condition("Accepted")
        assert place.root()["annotations"][ATTEMPT] == "1"
        before = len(place.server.writes())
        place.reconcile()
        assert place.server.writes()[before:] == [], "it is judged once"


def test_an_edit_of_a_run_that_is_over_writes_nothing_at_every_look(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        of_an_older_version(place)
        place.end_job("learner", "Complete")
        place.patch(replicas=5)
        assert place.reconcile()["state"] == "succeeded"
        before = len(place.server.writes())
        place.reconcile()
        assert place.server.writes()[before:] == []


def test_a_spec_that_only_surreal_can_check_is_refused_with_the_key_and_nothing_made(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply(algorithm={"name": "ppo", "config": {"gama": 0.9}})
        status = place.reconcile()
        assert status["state"] == "failed"
        assert "spec.algorithm.config.gama" in status["reason"] and "gamma" in status["reason"]
        assert place.condition("Accepted")["status"] == "False"
        assert place.left() == [f"Experiment/{NAME}"]
        assert any(each.startswith("Invalid: ") for each in place.events())


def test_code_of_a_person_is_never_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with cluster(tmp_path) as place:
        place.apply("one", algorithm={"name": "evil:Algorithm", "config": {}})
        place.apply("two", env={"id": "evil:Env-v0", "wrappers": ["evil:Wrapper"]})
        assert "surreal create --on kube" in place.reconcile("one")["reason"]
        # the class of an environment is the pods' affair
        assert place.reconcile("two")["state"] == "pending"


def test_a_name_that_another_run_has_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.person.post("Node", node())
        create(place.server.kubeconfig, total_steps=5)
        before = place.left()
        place.apply()
        status = place.reconcile()
        assert "it differs in spec.algorithm.config.total_steps" in status["reason"]
        assert place.condition("Accepted")["reason"] == "NameTaken"
        assert place.left() == sorted([*before, f"Experiment/{NAME}"])


def test_a_run_of_the_command_line_with_the_same_experiment_is_taken_over(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.person.post("Node", node())
        create(place.server.kubeconfig)
        run = place.root()["labels"][RUN]
        place.apply()
        assert place.reconcile()["run"] == run
        place.check_whole()
        assert any(each.startswith("Adopted: ") for each in place.events())


def create(kubeconfig: Path, **config: object) -> None:
    """Create the same experiment as `surreal create` would."""
    made = resource(algorithm={"name": "ppo", "config": config})
    made["metadata"]["labels"] = {"team": "rl"}
    Client("kube", context=CONTEXT, namespace=NAMESPACE, kubeconfig=kubeconfig).create(Experiment.from_data(made))


def test_two_that_would_render_the_same_names_do_not_share_objects(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply("a")
        place.reconcile("a")
        # the learner's Job of an experiment of this name would be another's object
        foreign = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "b-actor"}, "spec": {}}
        place.person.post("Job", foreign)
        place.apply("b")
        status = place.reconcile("b")
        assert "there is a Job b-actor in namespace lab that is not surreal's" in status["reason"]
        assert place.condition("Accepted", "b")["reason"] == "NameTaken"
        assert "ConfigMap/b" not in place.left()
        place.person.delete("Job", "b-actor")
        place.reconcile("b")
        place.check_whole("b")


def test_the_end_of_a_run_is_noted_and_survives_its_objects(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.end_job("learner", "Complete")
        assert place.reconcile()["state"] == "succeeded"
        assert place.condition("Succeeded")["status"] == "True"
        assert place.status()["completionTime"]
        # what Kubernetes does after the TTL
        place.person.delete("Job", f"{NAME}-learner")
        place.store.await_names([*(e for e in place.store.names() if e.startswith("Event/")), f"Experiment/{NAME}"])
        assert place.reconcile()["state"] == "succeeded"
        assert place.left() == [f"Experiment/{NAME}"], "a run that is over was begun again"


def test_a_run_whose_end_no_operator_saw_is_not_begun_again(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.person.delete("Job", f"{NAME}-learner")
        place.store.await_names([*(e for e in place.store.names() if e.startswith("Event/")), f"Experiment/{NAME}"])
        status = place.reconcile()
        assert (status["state"], place.left()) == ("stopped", [f"Experiment/{NAME}"])
        assert "its end was not seen" in status["reason"]


def test_the_end_of_a_run_is_seen_though_its_spec_asks_for_what_cannot_be(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.patch(roles={"actor": {"resources": {"cpu": "3"}}})
        place.reconcile()
        assert place.condition("Accepted")["reason"] == "Invalid"
        place.end_job("learner", "Failed")
        assert place.reconcile()["state"] == "failed"
        assert place.condition("Failed")["status"] == "True"
        refusal = place.condition("Accepted")
        assert refusal["message"].startswith("spec.roles.actor.resources.cpu: does not change in a run")
        assert len([each for each in place.events() if each.startswith("Invalid: ")]) == 1


def test_a_claim_outlives_the_run_and_tells_its_outcome(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply(storage={"kind": "claim", "className": "fast"})
        place.reconcile()
        claim = place.store.get("PersistentVolumeClaim", NAMESPACE, NAME)["metadata"]
        assert [each["kind"] for each in claim["ownerReferences"]] == ["Experiment"]
        place.end_job("learner", "Failed")
        assert place.reconcile()["state"] == "failed"
        marks = place.store.get("PersistentVolumeClaim", NAMESPACE, NAME)["metadata"]["annotations"]
        assert marks[OUTCOME] == "failed"


def test_an_image_that_does_not_exist_ends_the_run_after_a_while(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        (pod,) = [name for name in place.store.await_count("Pod", 4) if "-learner-" in name]
        waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "surreal:9"'}
        status = {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "containerStatuses": [{"name": "worker", "image": "surreal:9", "state": {"waiting": waiting}}],
        }
        long_ago = {"creationTimestamp": "2026-01-01T00:00:00Z"}
        place.person.patch("Pod", pod, {"status": status, "metadata": long_ago, "spec": {"nodeName": "n1"}})
        assert place.reconcile(patience=Patience(start=1e12))["state"] == "pending"
        waits = place.condition("Running")
        assert (waits["status"], waits["reason"]) == ("False", "Pending")
        assert "surreal:9" in waits["message"]
        assert any(each.startswith("Waiting: learner: ") for each in place.events())
        status = place.reconcile()
        assert status["state"] == "failed"
        assert "learner did not start" in status["reason"] and "surreal:9" in status["reason"]
        assert place.root()["annotations"][FAILED] == status["reason"]
        assert all(place.store.get("Job", NAMESPACE, name)["spec"]["suspend"] for name in place.store.names("Job"))
        assert any(each.startswith("Ended: learner did not start") for each in place.events())
        # and once more, when it is there
        place.person.patch("Experiment", NAME, {"metadata": {"annotations": {"surreal.dev/attempt": "2"}}})
        assert place.reconcile()["state"] != "failed"
        assert FAILED not in place.root()["annotations"]


def test_roles_that_outlive_the_run_are_ended(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        place.end_job("learner", "Complete")
        place.reconcile()
        assert place.store.names("Job") == [f"{NAME}-learner"]
        assert any("outlived the run" in each for each in place.events())


def test_a_finalizer_left_by_hand_keeps_the_experiment_but_not_its_run(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        place.person.patch("Experiment", NAME, {"metadata": {"finalizers": ["example.com/mine"]}})
        place.person.delete("Experiment", NAME)
        place.reconcile()
        with place.store.changed:
            assert place.store.changed.wait_for(lambda: place.left() == [f"Experiment/{NAME}"], 120)
        assert "finalizer example.com/mine, which is not surreal's" in place.status()["reason"]
        place.person.patch("Experiment", NAME, {"metadata": {"finalizers": None}})
        assert place.left() == []


def test_a_key_of_a_newer_version_is_refused_and_its_run_goes_on(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply("new", checkpoints={"everySeconds": 60, "onSignal": True})
        assert "spec.checkpoints.onSignal" in place.reconcile("new")["reason"]
        place.apply()
        place.reconcile()
        place.patch(checkpoints={"onSignal": True})
        place.reconcile()
        assert place.condition("Accepted")["status"] == "False"
        assert place.root()["annotations"][CREATED]


def test_keys_that_the_server_dropped_are_told(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        made = resource()
        applied = '{"spec": {"foo": 1, "env": {"id": "CartPole-v1", "copis": 3}}}'
        made["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": applied}
        place.person.post("Experiment", made)
        place.reconcile()
        assert any(
            "UnknownKeys: unknown keys, which the server has dropped: spec.env.copis, spec.foo" in each
            for each in place.events()
        )


def test_a_null_that_kubectl_left_out_means_what_the_file_says(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        made = resource()
        applied = '{"spec": {"algorithm": {"config": {"desired_kl": null}}}}'
        made["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": applied}
        place.person.post("Experiment", made)
        place.reconcile()
        assert "desired_kl: null" in place.store.get("ConfigMap", NAMESPACE, NAME)["data"]["experiment.yaml"]


def test_a_run_that_waits_is_looked_at_soon_and_then_rarely(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        operator = place.reconciler()
        assert operator.reconcile(NAME) == SOON_S
        for waited, wanted in ((10, 10), (100, 300), (1000, 3000)):
            begun = (datetime.now(UTC) - timedelta(seconds=waited)).isoformat(timespec="seconds")
            place.person.patch("ConfigMap", NAME, {"metadata": {"annotations": {CREATED: begun}}})
            again = operator.reconcile(NAME)
            assert again is not None and wanted <= again < 2 * wanted


@pytest.mark.parametrize("act", ["suspend", "delete"])
def test_a_run_with_a_queue_goes_with_its_experiment_also_while_it_is_stopped(tmp_path: Path, act: str) -> None:
    with cluster(tmp_path) as place:
        place.server.unknown.clear()
        place.apply(queue="q")
        place.reconcile()
        assert place.store.names("JobSet") == [NAME]
        if act == "suspend":
            place.patch(suspend=True)
            assert place.reconcile()["state"] == "stopped"
            assert place.store.names("JobSet") == []
        place.person.delete("Experiment", NAME)
        place.store.await_names([each for each in place.store.names() if each.startswith("Event/")])


def test_a_namespace_that_is_removed_ends_everything(tmp_path: Path) -> None:
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply()
        place.reconcile()
        place.apply("late")
        place.person.delete("Namespace", NAMESPACE)
        place.reconcile("late")
        place.store.await_names([])


def test_a_right_that_is_missing_is_named(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        every = {
            (verb, kind)
            for verb in ("get", "list", "create", "patch", "delete", "watch")
            for kind in (
                "experiments",
                "experiments/status",
                "configmaps",
                "pods",
                "events",
                "persistentvolumeclaims",
                "services",
                "serviceaccounts",
                "networkpolicies",
                "resourcequotas",
            )
        }
        place.store.rules.allowed = every
        place.reconcile()
        assert "jobs" in place.status()["reason"]
        assert place.left() == [f"Experiment/{NAME}"]


def test_a_role_with_bounds_has_as_many_processes_as_the_run_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(_api: object, _name: str, _role: object) -> Signs:
        return Signs(2, 0.0, 0.9, 0.0, None)

    monkeypatch.setattr(scaling, "signs", starved)
    monkeypatch.setattr(Place, "look", lambda *_: Seen(Progress(steps=1)))
    monkeypatch.setattr(reconcile, "runs", lambda _pod: True)
    with cluster(tmp_path, runs_jobs=True) as place:
        place.apply(roles={"actor": {"replicas": {"min": 2, "max": 8}}})
        operator = place.reconciler()
        operator.reconcile(NAME)
        place.store.await_count("Pod", 4)
        for _ in range(LOOKS):
            operator.reconcile(NAME)
        actors = place.store.get("Job", NAMESPACE, f"{NAME}-actor")["spec"]
        assert (actors["completions"], actors["parallelism"]) == (8, 4)
        assert any("Autoscaled: actor: 4: the learner waits 90%" in each for each in place.events())
