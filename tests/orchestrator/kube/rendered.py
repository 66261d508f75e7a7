"""Plans for tests of what is rendered: small to all there is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from surreal.orchestrator.backends.kube.manifests.render import Drawn, draw
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import Code
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.pools.model import NodePool
from tests.orchestrator.documents import minimal
from tests.orchestrator.plan.test_plan import LARGE, SMALL, SPOT, STEADY

EXAMPLES = Path(__file__).parents[3] / "examples"
RUN, NAMESPACE = "0123abcd", "rl"
ROOMY = replace(SMALL, nodes=2000)
CODE = Code("c0de" * 16, b"an archive", files=3, bytes=40, left_out=0)
DIGEST = "registry.example/rl/surreal@sha256:" + "5" * 64

EVERYTHING: dict[str, Any] = {
    "image": DIGEST,
    "imagePullPolicy": "Always",
    "imagePullSecrets": ["registry-key"],
    "code": "./code",
    "storage": {"kind": "url", "url": "s3://runs/rl", "size": "20Gi", "serviceAccountName": "writer"},
    "prometheus": {},
    "egress": [{"cidr": "203.0.113.0/24", "ports": [443, 8443]}, {"cidr": "2001:db8::/32"}],
    "channels": {"weights": {"relays": 2, "dtype": "bfloat16"}},
    "roles": {
        "learner": {
            "resources": {"gpu": 1, "cpu": 4, "memory": "16Gi"},
            "priorityClassName": "high",
            "volumes": [{"name": "login", "mountPath": "/login", "secret": "store-login"}],
        },
        "actor": {
            "replicas": 64,
            "spread": "zone",
            "env": {"MUJOCO_GL": "egl", "PRICE": "$(HOME) costs $5, or $$6"},
            "volumes": [
                {"name": "scenes", "mountPath": "/scenes", "claim": "scenes"},
                {"name": "tables", "mountPath": "/tables", "configMap": "tables", "readOnly": False},
            ],
        },
        "evaluator": {"image": "registry.example/rl/evaluator:2", "spread": "node"},
    },
}


def planned(data: dict[str, Any], *pools: NodePool) -> Plan:
    """The plan of an experiment on pools, as a cluster with a default StorageClass settles it."""
    return settled(make_plan(Experiment.from_data(data), pools or (ROOMY,)))


def settled(plan: Plan) -> Plan:
    """With `auto` decided, and without the machines of the moment."""
    kind = "claim" if plan.storage.kind == "auto" else plan.storage.kind
    return plan.model_copy(update={"storage": plan.storage.model_copy(update={"kind": kind, "note": ""})})


def example(name: str = "cheetah-ppo.yaml") -> Plan:
    """The plan of an example on a small cluster."""
    return settled(make_plan(load_experiment(EXAMPLES / name), [ROOMY]))


def everything() -> Plan:
    """A plan that uses all there is, but no queue."""
    return planned(minimal(**EVERYTHING), SPOT, STEADY, LARGE)


def queued(**spec: Any) -> Plan:
    """A plan for a queue."""
    return planned(minimal(queue="team-rl", storage={"kind": "emptyDir", "size": "2Gi"}, **spec), SMALL, LARGE)


def drawn(plan: Plan, **options: Any) -> list[Drawn]:
    """What is rendered of a plan."""
    has_code = CODE if plan.code else None
    given = {"keys": None, "code": has_code, "experiment": "kind: Experiment\n", "user": "ada", **options}
    return draw(plan, RUN, NAMESPACE, **given)


def objects(plan: Plan, **options: Any) -> list[Object]:
    """The objects of a plan."""
    return [each.data for each in drawn(plan, **options)]


def of_kind(kind: str, found: list[Object]) -> dict[str, Object]:
    """Name -> object."""
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def jobs(found: list[Object]) -> dict[str, Object]:
    """Role -> its Job, also where a JobSet makes it."""
    alone = {name: job["spec"] for name, job in of_kind("Job", found).items()}
    inner = {
        each["name"]: each["template"]["spec"]
        for jobset in of_kind("JobSet", found).values()
        for each in jobset["spec"]["replicatedJobs"]
    }
    return {
        job["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: job for job in (alone | inner).values()
    }


def pods(found: list[Object]) -> dict[str, Object]:
    """Role -> the spec of its pods."""
    return {role: job["template"]["spec"] for role, job in jobs(found).items()}


def variables(container: Object) -> dict[str, str]:
    """The environment variables that have a value."""
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}
