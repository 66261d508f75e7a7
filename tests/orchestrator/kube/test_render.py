"""What is rendered: pinned by golden files, the same as objects and as text, whatever a person writes into the file."""

import base64
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from surreal.orchestrator.backends.kube.manifests import templates as templating
from surreal.orchestrator.backends.kube.manifests.render import MADE_LATER, plan_digest
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube.rendered import (
    CODE,
    drawn,
    everything,
    example,
    jobs,
    objects,
    of_kind,
    planned,
    pods,
    queued,
    variables,
)
from tests.orchestrator.plan.test_plan import SMALL

GOLDEN = Path(__file__).parent / "golden"
PLANS: dict[str, Callable[[], Plan]] = {"cheetah-ppo": example, "everything": everything, "queued": queued}


@pytest.mark.parametrize("name", PLANS)
def test_the_objects_are_the_ones_on_file(name: str) -> None:
    """After a wanted change: run this file with SURREAL_WRITE_GOLDEN=1, and read the diff."""
    text = "---\n".join(each.text for each in drawn(PLANS[name]()))
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("SURREAL_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", PLANS)
def test_what_is_printed_is_what_is_sent(name: str) -> None:
    found = drawn(PLANS[name]())
    assert [yaml.safe_load(each.text) for each in found] == [each.data for each in found]
    assert list(yaml.safe_load_all("---\n".join(each.text for each in found))) == [each.data for each in found]


def test_the_root_is_first_and_the_job_that_ends_the_run_before_the_others() -> None:
    found = objects(everything())
    assert (found[0]["kind"], found[0]["metadata"]["name"]) == ("ConfigMap", "cart")
    roles = [each["metadata"]["labels"]["app.kubernetes.io/component"] for each in found if each["kind"] == "Job"]
    assert roles == ["learner", "actor", "evaluator", "weights-relay"]
    assert [each["kind"] for each in found[-4:]] == ["Job"] * 4


def test_a_thousand_actors_are_as_many_objects_as_two() -> None:
    few = objects(planned(minimal()))
    many = objects(planned(minimal(roles={"actor": {"replicas": 1000}})))
    assert len(many) == len(few) <= 20
    assert jobs(many)["actor"]["completions"] == jobs(many)["actor"]["parallelism"] == 1000


def test_what_cannot_change_has_a_name_that_says_what_is_in_it() -> None:
    first, again = objects(example()), objects(example(), attempt=2)
    longer = objects(example().model_copy(update={"seed": 2}))
    names = [[name for name in of_kind("ConfigMap", found) if "-wiring-" in name] for found in (first, again, longer)]
    assert names[0] == names[1] != names[2]
    for found in (first, objects(everything())):
        for kind in ("ConfigMap", "Secret"):
            for each in of_kind(kind, found).values():
                assert bool(each.get("immutable")) == (each is not found[0])


def test_no_container_is_process_1_so_a_signal_before_its_handlers_ends_it() -> None:
    assert all(pod["shareProcessNamespace"] for pod in pods(objects(everything())).values())


def test_every_object_says_whose_it_is() -> None:
    for each in objects(everything()) + objects(queued()):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "cart"
        assert labels["app.kubernetes.io/managed-by"] == labels["app.kubernetes.io/part-of"] == "surreal"
        assert labels["surreal.dev/run"] == "0123abcd"
        assert each["metadata"]["namespace"] == "rl"


def test_keys_are_only_there_when_they_are_given_and_a_pod_sees_its_own_alone() -> None:
    hidden = of_kind("Secret", objects(example()))["cheetah-ppo-keys-0123abcd"]
    assert set(hidden["stringData"].values()) == {MADE_LATER}
    made = {"learner": "L", "actor": "A", "evaluator": "E"}
    found = objects(example(), keys=made)
    secret = of_kind("Secret", found)["cheetah-ppo-keys-0123abcd"]
    assert secret["stringData"] == {"learner.json": "L", "actor.json": "A", "evaluator.json": "E"}
    for role, pod in pods(found).items():
        (keys,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        assert keys["items"] == [{"key": f"{role}.json", "path": f"{role}.json"}]
        assert keys["defaultMode"] == 0o400


def test_only_the_pod_that_ends_the_run_has_the_storage() -> None:
    for plan in (example(), everything(), queued()):
        for role, pod in pods(objects(plan)).items():
            (run,) = [volume for volume in pod["volumes"] if volume["name"] == "run"]
            claims = plan.role(role).ends_run and plan.storage.kind == "claim"
            assert ("persistentVolumeClaim" in run) == claims
    sizes = {role: pod["volumes"][2]["emptyDir"]["sizeLimit"] for role, pod in pods(objects(queued())).items()}
    assert sizes == {"learner": "2Gi", "actor": "64Mi", "evaluator": "64Mi"}


def test_code_travels_in_a_config_map_and_is_unpacked_before_the_worker_starts() -> None:
    found = objects(everything())
    code = of_kind("ConfigMap", found)["cart-code-c0dec0dec0"]
    assert base64.b64decode(code["binaryData"]["code.tar.gz"]) == CODE.data
    for role, pod in pods(found).items():
        (unpack,) = pod["initContainers"]
        assert unpack["args"] == ["/etc/surreal/code/code.tar.gz", "/surreal/code", CODE.digest]
        mounts = {each["name"]: each for each in pod["containers"][0]["volumeMounts"]}
        assert mounts["code"] == {"name": "code", "mountPath": "/surreal/code", "readOnly": True}, role
        assert "archive" not in mounts
    assert not any("initContainers" in pod for pod in pods(objects(example())).values())


def test_large_code_comes_from_the_store_and_without_one_is_refused() -> None:
    large = replace(CODE, data=b"x" * 900_001)
    found = objects(everything(), code=large)
    assert not any("-code-" in name for name in of_kind("ConfigMap", found))
    for role, pod in pods(found).items():
        (unpack,) = pod["initContainers"]
        assert unpack["args"][0] == "s3://runs/rl/cart/code-c0dec0dec0.tar.gz"
        own = {f"own-{volume.name}" for volume in everything().role(role).volumes}
        assert {each["name"] for each in unpack["volumeMounts"]} == {"code", "tmp"} | own
    claim = everything().storage.model_copy(update={"kind": "claim", "url": ""})
    with pytest.raises(InvalidInput, match=r"spec.code: ./code is 900,001 bytes packed.*900,000.*spec.storage.url"):
        objects(everything().model_copy(update={"storage": claim}), code=large)


def test_only_pods_that_use_the_store_run_as_the_account_that_it_knows() -> None:
    def accounts(**options: Any) -> dict[str, str]:
        return {role: pod["serviceAccountName"] for role, pod in pods(objects(everything(), **options)).items()}

    assert accounts() == {"learner": "writer", "actor": "cart", "evaluator": "cart", "weights-relay": "cart"}
    assert set(accounts(code=replace(CODE, data=b"x" * 900_001)).values()) == {"writer"}


def test_variables_of_the_file_win_but_not_those_that_say_which_process_it_is() -> None:
    roles = {"actor": {"env": {"OMP_NUM_THREADS": "3", "HOME": "/scratch"}, "resources": {"cpu": 2}}}
    env = variables(pods(objects(planned(minimal(roles=roles))))["actor"]["containers"][0])
    assert (env["OMP_NUM_THREADS"], env["MKL_NUM_THREADS"], env["HOME"]) == ("3", "2", "/scratch")
    for name in ("JOB_COMPLETION_INDEX", "SURREAL_ATTEMPT"):
        with pytest.raises(InvalidInput, match=f"spec.roles.actor.env: {name} is how a pod learns"):
            objects(planned(minimal(roles={"actor": {"env": {name: "1"}}})))


def test_a_pod_may_use_more_cpu_than_it_asks_for_but_not_more_memory() -> None:
    resources = pods(objects(everything()))["learner"]["containers"][0]["resources"]
    assert resources["requests"] == {"cpu": "4", "memory": "16Gi", "ephemeral-storage": "256Mi"}
    assert resources["limits"]["cpu"] == "5" and resources["limits"]["memory"] == "16Gi"
    assert resources["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in pods(objects(everything()))["learner"]["initContainers"][0]["resources"]["limits"]


def test_names_that_are_too_long_are_refused_before_anything_is_made() -> None:
    data = minimal(channels={"weights": {"relays": 2}})
    data["metadata"]["name"] = "n" * 40
    assert objects(planned(data))
    data["metadata"]["name"] = "1st"
    with pytest.raises(InvalidInput, match="begins with a digit"):
        objects(planned(data))


def test_storage_that_nobody_decided_is_refused() -> None:
    plan = planned(minimal())
    auto = plan.model_copy(update={"storage": plan.storage.model_copy(update={"kind": "auto"})})
    with pytest.raises(InvalidInput, match="spec.storage.kind: auto depends on the cluster"):
        objects(auto)


def test_a_plan_that_no_object_holds_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"experiment cheetah-ppo: experiment.yaml and plan.json are more than"):
        objects(example(), experiment="x" * 1_000_000)


def test_the_digest_of_a_plan_is_not_about_the_machines_of_the_moment() -> None:
    plan = planned(minimal(), SMALL)
    busier = planned(minimal(), replace(SMALL, nodes=3))
    assert plan.pools != busier.pools
    assert plan_digest(plan) == plan_digest(busier)
    assert plan_digest(plan) != plan_digest(plan, CODE)
    assert plan_digest(plan) != plan_digest(plan.model_copy(update={"seed": 2}))


def test_the_templates_are_in_the_package() -> None:
    names = {path.name for path in templating.FOLDER.glob("*.j2")}
    assert {"configmap.yaml.j2", "job.yaml.j2", "jobset.yaml.j2", "networkpolicy.yaml.j2"} <= names
