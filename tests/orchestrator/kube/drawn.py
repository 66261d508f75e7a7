"""The objects of a small experiment, as `render` orders them, without the weight of pods."""

from surreal.orchestrator.backends.kube.lifecycle.create import Draw
from surreal.orchestrator.backends.kube.names import ATTEMPT, PLAN_DIGEST, ROOT, USER, job, keys_secret, labels
from surreal.provisioner.kube.kinds import Object

NAME = "toy"
ROLES = ("learner", "actor", "evaluator")


def drawer(name: str = NAME, digest: str = "d1", claim: bool = True, actors: int = 2, queued: bool = False) -> Draw:
    """A function from run and attempt to objects."""

    def draw(run: str, attempt: int) -> list[Object]:
        marks = {ATTEMPT: str(attempt), PLAN_DIGEST: digest, USER: "ada"}
        root = _made("v1", "ConfigMap", name, name, run, data={"plan.json": "{}", "experiment.yaml": ""})
        root["metadata"]["annotations"] = marks
        root["metadata"]["labels"][ROOT] = "true"
        jobs = [
            _made("batch/v1", "Job", job(name, role), name, run, role, spec=_spec(name, run, role, attempt, actors))
            for role in ROLES
        ]
        inner = [{"name": each["metadata"]["labels"]["app.kubernetes.io/component"], "template": each} for each in jobs]
        jobset = _made("jobset.x-k8s.io/v1alpha2", "JobSet", name, name, run, spec={"replicatedJobs": inner})
        policies = [
            _made("networking.k8s.io/v1", "NetworkPolicy", each, name, run, spec={"podSelector": {}})
            for each in (name, *(f"{name}-{role}" for role in ROLES))
        ]
        size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        storage = [_made("v1", "PersistentVolumeClaim", name, name, run, spec=size)]
        return [
            root,
            _made("v1", "ConfigMap", f"{name}-wiring-abc", name, run, data={"learner.json": "{}"}, immutable=True),
            _made("v1", "Secret", keys_secret(name, run), name, run, stringData={"learner.json": "k"}, immutable=True),
            _made("v1", "ServiceAccount", name, name, run, automountServiceAccountToken=False),
            _made("v1", "Service", name, name, run, spec={"clusterIP": "None", "selector": {"a": name}}),
            *(storage if claim else ()),
            *policies,
            *([jobset] if queued else jobs),
        ]

    return draw


def count(**options: bool) -> int:
    """How many objects that are."""
    return len(drawer(**options)("0" * 8, 1))  # type: ignore[arg-type]


def _made(
    version: str, kind: str, name: str, experiment: str, run: str, role: str | None = None, **rest: object
) -> Object:
    metadata = {"name": name, "labels": labels(experiment, run, role)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _spec(name: str, run: str, role: str, attempt: int, actors: int) -> Object:
    count = actors if role == "actor" else 1
    container = {"name": "worker", "image": "registry.k8s.io/pause:3.10"}
    template = {
        "metadata": {"labels": labels(name, run, role), "annotations": {ATTEMPT: str(attempt)}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {"completionMode": "Indexed", "completions": count, "parallelism": count, "template": template}
