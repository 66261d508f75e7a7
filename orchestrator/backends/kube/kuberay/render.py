"""From a Plan to the objects of a run that KubeRay starts. The RayJob comes first: it is the owner of the others.

Equal arguments, equal objects. The CRD of KubeRay takes nearly anything, and its operator refuses later, so what the
operator would refuse is refused here.
"""

import base64
from dataclasses import dataclass
from typing import Any

from surreal.orchestrator.backends.kube import names as kube
from surreal.orchestrator.backends.kube.kuberay import names, pods
from surreal.orchestrator.backends.kube.manifests import templates as templating
from surreal.orchestrator.backends.kube.manifests.network import Firewall, Network
from surreal.orchestrator.backends.kube.manifests.render import (
    HASH_DIGITS,
    OBJECT_BYTES,
    QUEUE,
    QUEUE_PRIORITY,
    Drawn,
    fits_a_config_map,
    plan_digest,
)
from surreal.orchestrator.backends.kube.manifests.volumes import quantity
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import CONFIG_MAP_BYTES, Code
from surreal.orchestrator.run.wiring import ending_role
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import KINDS, Object

RAY_VERSION = "2.60.0"
"""Version that the operator is told of; KubeRay wants one where token authentication is on."""
DRIVER = "surreal.orchestrator.backends.ray.job"
"""Module that the RayJob starts on the head."""
TRIES = 2
"""Clusters that follow one whose head is lost; a run that has failed ends at once in each of them."""
OPERATOR = {"app.kubernetes.io/component": "kuberay-operator"}
"""Labels of KubeRay's operator, which asks the dashboard how the job is."""


@dataclass(frozen=True)
class Moment:
    """Facts of a RayJob that change while it lives."""

    attempt: int = 1
    suspended: bool = False
    queued: bool = True
    """False until all other objects are there: the queue's label starts a run."""


def draw(
    plan: Plan, run: str, namespace: str, code: Code | None, experiment: str, moment: Moment = Moment(), user: str = ""
) -> list[Drawn]:
    """Return the objects, each with its YAML. Raises InvalidInput for a plan that KubeRay would not run."""
    objects = render(plan, run, namespace, code, experiment, moment, user)
    return [Drawn(_text(each), each) for each in objects]


def render(
    plan: Plan, run: str, namespace: str, code: Code | None, experiment: str, moment: Moment = Moment(), user: str = ""
) -> list[Object]:
    """Return the objects of a run, the RayJob first. Raises InvalidInput for a plan that KubeRay would not run."""
    names.check_names(plan)
    _check_storage(plan)
    _check_code(code)
    texts = {names.PLAN_KEY: plan.to_json(), names.EXPERIMENT_KEY: experiment}
    if sum(len(text.encode()) for text in texts.values()) > OBJECT_BYTES:
        raise InvalidInput(f"experiment {plan.name}: its plan is larger than a ConfigMap. Use fewer replicas.")
    archive = f"{plan.name}-code-{code.digest[:HASH_DIGITS]}" if code else ""
    objects = _Objects(plan, run, namespace)
    return [
        objects.ray_job(moment, archive, plan_digest(plan, code), user),
        objects.make("ConfigMap", names.documents(plan.name), data=texts),
        *([objects.archive(archive, code)] if code else []),
        objects.make("ServiceAccount", plan.name, automountServiceAccountToken=False),
        objects.policy(),
        *([objects.claim()] if plan.storage.kind == "claim" else []),
    ]


def entrypoint(plan: Plan) -> str:
    """Return the command that the RayJob runs. It goes through a shell, so names were checked before."""
    return f"python3 -P -m {DRIVER} {plan.name} {names.DOCUMENTS}"


@dataclass(frozen=True)
class _Objects:
    plan: Plan
    run: str
    namespace: str

    def make(self, kind: str, name: str, **fields: Any) -> Object:
        """Return an object with the labels of the run."""
        labels = {**self.plan.labels, **names.labels(self.plan.name, self.run)}
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        return {"apiVersion": KINDS[kind].version, "kind": kind, "metadata": metadata, **fields}

    def ray_job(self, moment: Moment, archive: str, digest: str, user: str) -> Object:
        plan = self.plan
        found = self.make("RayJob", plan.name, spec=self._spec(moment, archive))
        marks = {kube.PLAN_DIGEST: digest, kube.ATTEMPT: str(moment.attempt), **({kube.USER: user} if user else {})}
        found["metadata"]["annotations"] = marks
        if plan.queue and moment.queued:
            found["metadata"]["labels"] |= queue_labels(plan)
        return found

    def _spec(self, moment: Moment, archive: str) -> dict[str, Any]:
        plan = self.plan
        return {
            "suspend": moment.suspended,
            "entrypoint": entrypoint(plan),
            # the operator asks for the job's state itself: no pod has to follow a log for as long as the run lasts
            "submissionMode": "HTTPMode",
            # without the folder of the last try a cluster could not know that the run has failed
            "backoffLimit": TRIES if plan.storage.kind == "claim" else 0,
            # without it no RayJob may be suspended
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": plan.ttl_seconds,
            "rayClusterSpec": {
                "rayVersion": RAY_VERSION,
                "enableInTreeAutoscaling": False,
                "authOptions": {"mode": "token"},
                "headGroupSpec": pods.head(plan, self.run, archive, moment.attempt),
                "workerGroupSpecs": [pods.group(plan, role, self.run) for role in plan.roles],
            },
        }

    def archive(self, name: str, code: Code) -> Object:
        data = {names.CODE_KEY: base64.b64encode(code.data).decode()}
        return self.make("ConfigMap", name, immutable=True, binaryData=data)

    def claim(self) -> Object:
        storage = self.plan.storage
        wanted: dict[str, Any] = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": quantity(storage.size or 0)}},
        }
        if storage.class_name:
            wanted["storageClassName"] = storage.class_name
        return self.make("PersistentVolumeClaim", self.plan.name, spec=wanted)

    def policy(self) -> Object:
        """Return the one NetworkPolicy: pods of the run among themselves, and the operator at the dashboard."""
        plan = self.plan
        ours = {"podSelector": {"matchLabels": names.selector(plan.name)}}
        operator = {"namespaceSelector": {}, "podSelector": {"matchLabels": OPERATOR}}
        ingress: list[dict[str, Any]] = [{"from": [ours]}, {"ports": _ports(names.DASHBOARD_PORT), "from": [operator]}]
        if plan.prometheus_port:
            ingress.append({"ports": _ports(plan.prometheus_port), "from": [{"namespaceSelector": {}}]})
        dns = [{"protocol": protocol, "port": port} for port in (53, 5353) for protocol in ("UDP", "TCP")]
        networks = Firewall(Network(plan), stores_code=False).networks(ending_role(plan))
        egress = [
            {"ports": dns},
            {"to": [ours]},
            *({"ports": _ports(*each["ports"]), "to": [{"ipBlock": {"cidr": each["cidr"]}}]} for each in networks),
        ]
        types = ["Ingress", "Egress"]
        return self.make(
            "NetworkPolicy", plan.name, spec={**ours, "policyTypes": types, "ingress": ingress, "egress": egress}
        )


def queue_labels(plan: Plan) -> dict[str, str]:
    """Return the labels by which Kueue takes a RayJob; empty without a queue."""
    if not plan.queue:
        return {}
    priority = plan.pods.kueue_priority_class
    return {QUEUE: plan.queue, **({QUEUE_PRIORITY: priority} if priority else {})}


def _text(each: Object) -> str:
    """Return the YAML of an object, with documents as people read them."""
    if "data" not in each:
        return strictyaml.dump(each)
    about = {"annotations": {}, **each["metadata"]}
    return templating.render("configmap", data=each["data"], binary={}, immutable=False, **about)


def _ports(*numbers: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": number} for number in numbers]


def _check_storage(plan: Plan) -> None:
    if plan.storage.kind not in ("claim", "emptyDir", "url"):
        raise InvalidInput(
            f"spec.storage.kind: {plan.storage.kind} depends on the cluster, and no cluster was asked. "
            "Name one with --context, or write claim, emptyDir or url."
        )


def _check_code(code: Code | None) -> None:
    if code and not fits_a_config_map(code):
        raise InvalidInput(
            f"spec.code: {len(code.data):,} bytes packed do not fit a ConfigMap, which holds {CONFIG_MAP_BYTES:,}. "
            "Leave data out with .surrealignore, or put the code into the image."
        )
