"""From a Plan to the objects of an experiment in a cluster: one template per kind, values from here.

Nothing is asked and nothing sent: equal arguments, equal objects.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from surreal.orchestrator.backends.kube import names
from surreal.orchestrator.backends.kube.manifests import pod as policy
from surreal.orchestrator.backends.kube.manifests import templates as templating
from surreal.orchestrator.backends.kube.manifests.network import Firewall, Network, store_url, wiring_files
from surreal.orchestrator.backends.kube.manifests.pod import NO_SIDECAR_LABEL, Unpack, pod_values
from surreal.orchestrator.backends.kube.manifests.volumes import Sources, quantity
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.orchestrator.run.code_archive import CONFIG_MAP_BYTES, Code
from surreal.orchestrator.run.wiring import ending_role
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import Object

OBJECT_BYTES = 1_000_000
"""Most bytes of the texts in a ConfigMap; Kubernetes takes 1 MiB."""
MADE_LATER = "<made by create>"
"""The text shown in place of a key that is not made yet."""
HASH_DIGITS = 10
QUEUE, QUEUE_PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"
CODE_HERE = "CODE"
"""Stands for the archive while the YAML is read, which takes a second per megabyte."""


@dataclass(frozen=True)
class Drawn:
    """One object, as a person reads it and as it is sent."""

    text: str
    """One YAML document."""
    data: Object


def render(
    plan: Plan,
    run: str,
    namespace: str,
    *,
    keys: Mapping[str, str] | None,
    code: Code | None,
    experiment: str,
    attempt: int = 1,
    user: str = "",
    start: Code | None = None,
) -> list[Object]:
    """Return the objects of a run in the order in which they are made, the root first and the Jobs last.

    `keys` are the key files of the roles, None where they are not to be shown; `experiment` is the resolved file;
    `start` is a packed checkpoint that the run begins from.
    Raises InvalidInput for a plan that no cluster can run: names too long, ports that are taken.
    """
    return [each.data for each in draw(plan, run, namespace, keys, code, experiment, attempt, user, start)]


def draw(
    plan: Plan,
    run: str,
    namespace: str,
    keys: Mapping[str, str] | None,
    code: Code | None,
    experiment: str,
    attempt: int = 1,
    user: str = "",
    start: Code | None = None,
) -> list[Drawn]:
    """Render the objects as `render` does, each with its YAML."""
    names.check_lengths(plan.name, {role.name: role.replicas for role in plan.roles}, queued=bool(plan.queue))
    if plan.storage.kind not in ("claim", "emptyDir", "url"):
        raise InvalidInput(
            f"spec.storage.kind: {plan.storage.kind} depends on the cluster, and no cluster was asked. "
            "Name one with --context, or write claim, emptyDir or url."
        )
    return list(_Renderer(plan, run, namespace, code, attempt, start).all(keys, experiment, user))


def plan_digest(plan: Plan, code: Code | None = None, start: Code | None = None) -> str:
    """Return a hash that tells plans of one name apart. The state of the cluster while planning is left out."""
    storage = plan.storage.model_copy(update={"note": ""})
    lasting = plan.model_copy(update={"pools": (), "cost": None, "warnings": (), "storage": storage})
    return _hash(lasting.to_json() + (code.digest if code else "") + (start.digest if start else ""))


@dataclass(frozen=True)
class _Renderer:
    plan: Plan
    run: str
    namespace: str
    code: Code | None
    attempt: int
    start: Code | None = None

    def all(self, keys: Mapping[str, str] | None, experiment: str, user: str) -> Iterator[Drawn]:
        plan = self.plan
        yield self._root(experiment, user)
        yield self._map(self._sources.wiring, self._wiring)
        if self.code and self._sources.code:
            yield self._archive(self._sources.code, names.CODE_KEY, self.code)
        if self.start:
            yield self._archive(self._sources.start, names.START_KEY, self.start)
        shown = keys or {role.name: MADE_LATER for role in plan.roles}
        yield self._draw("secret", self._sources.keys, data=_files(shown))
        yield self._draw("serviceaccount", plan.name)
        yield self._draw("service", plan.name, selector=names.selector(plan.name), ports=self._network.named_ports())
        if plan.storage.kind == "claim":
            size = quantity(plan.storage.size or 0)
            yield self._draw("persistentvolumeclaim", plan.name, size=size, class_name=plan.storage.class_name)
        yield from self._policies()
        yield from self._jobs()

    def _labels(self, role: str | None = None) -> dict[str, str]:
        """Return the labels of an object: the user's own, and ours."""
        return {**self.plan.labels, **names.labels(self.plan.name, self.run, role)}

    @cached_property
    def _network(self) -> Network:
        return Network(self.plan)

    @cached_property
    def _wiring(self) -> dict[str, str]:
        return _files(wiring_files(self._network, self.code is not None, self.start.digest if self.start else ""))

    @cached_property
    def _sources(self) -> Sources:
        name = self.plan.name
        return Sources(
            wiring=f"{name}-wiring-{_hash(json.dumps(self._wiring, sort_keys=True))}",
            keys=names.keys_secret(name, self.run),
            code=f"{name}-code-{self.code.digest[:HASH_DIGITS]}" if self.code and fits_a_config_map(self.code) else "",
            has_code=self.code is not None,
            start=f"{name}-start-{self.start.digest[:HASH_DIGITS]}" if self.start else "",
        )

    @cached_property
    def _unpack(self) -> Unpack | None:
        if not self.code:
            return None
        archive = f"{names.CODE_ARCHIVE_FOLDER}/{names.CODE_KEY}"
        return Unpack(archive if self._sources.code else code_url(self.plan, self.code), self.code.digest)

    def _root(self, experiment: str, user: str) -> Drawn:
        data = {names.PLAN_KEY: self.plan.to_json(), names.EXPERIMENT_KEY: experiment}
        marks = {names.PLAN_DIGEST: plan_digest(self.plan, self.code, self.start), names.ATTEMPT: str(self.attempt)}
        if user:
            marks[names.USER] = user
        labels = {**self._labels(), names.ROOT: "true"}
        return self._map(self.plan.name, data, immutable=False, labels=labels, annotations=marks)

    def _map(self, name: str, data: dict[str, str], immutable: bool = True, **metadata: Any) -> Drawn:
        if sum(len(text.encode()) for text in data.values()) > OBJECT_BYTES:
            raise InvalidInput(
                f"experiment {self.plan.name}: {' and '.join(sorted(data))} are more than {OBJECT_BYTES:,} bytes, "
                "the most that a ConfigMap holds. Use fewer replicas or shorter options."
            )
        return self._draw("configmap", name, data=data, binary={}, immutable=immutable, **metadata)

    def _archive(self, name: str, key: str, code: Code) -> Drawn:
        drawn = self._draw("configmap", name, data={}, binary={key: CODE_HERE}, immutable=True)
        encoded = base64.b64encode(code.data).decode()
        data = {**drawn.data, "binaryData": {key: encoded}}
        return Drawn(drawn.text.replace(f": {CODE_HERE}\n", f": {encoded}\n"), data)

    def _policies(self) -> Iterator[Drawn]:
        plan = self.plan
        closed = {"ingress": (), "egress": None, "networks": ()}
        yield self._draw("networkpolicy", f"{plan.name}-default-deny", selector=names.selector(plan.name), **closed)
        firewall = Firewall(self._network, stores_code=bool(self.code and not self._sources.code))
        for role in plan.roles:
            yield self._draw(
                "networkpolicy",
                names.job(plan.name, role.name),
                labels=self._labels(role.name),
                selector=names.selector(plan.name, role.name),
                ingress=firewall.ingress(role),
                egress=firewall.egress(role),
                networks=firewall.networks(role),
            )

    def _jobs(self) -> Iterator[Drawn]:
        plan = self.plan
        # the run is sealed with the Job that ends it, so that one comes first
        roles = sorted(plan.roles, key=lambda role: not role.ends_run)
        if plan.queue:
            labels = {**self._labels(), QUEUE: plan.queue}
            if plan.pods.kueue_priority_class:
                labels[QUEUE_PRIORITY] = plan.pods.kueue_priority_class
            jobs = [{"role": role.name, **self._job(role)} for role in roles]
            context = {"labels": labels, "ttl": plan.ttl_seconds, "ends_run": ending_role(plan).name, "jobs": jobs}
            yield self._draw("jobset", plan.name, **context)
            return
        for role in roles:
            ttl = plan.ttl_seconds if role.ends_run else None
            yield self._draw("job", names.job(plan.name, role.name), ttl=ttl, **self._job(role))

    def _job(self, role: PlannedRole) -> dict[str, Any]:
        plan = self.plan
        return {
            "labels": self._labels(role.name),
            "job": {
                "replicas": role.replicas,
                "parallelism": role.replicas if role.least is None else role.least,
                "tries": policy.tries(role),
                "needed": not role.expendable,
                "rules": policy.pod_failure_rules(plan, role),
            },
            "pod": {
                **pod_values(plan, role, self._sources, self._unpack, self.attempt),
                "labels": {**NO_SIDECAR_LABEL, **plan.pods.labels, **self._labels(role.name)},
            },
        }

    def _draw(self, template: str, name: str, **values: Any) -> Drawn:
        metadata = {"labels": self._labels(), "annotations": {}, "namespace": self.namespace}
        text = templating.render(template, name=name, **{**metadata, **values})
        return Drawn(text, strictyaml.load_own(text))


def fits_a_config_map(code: Code) -> bool:
    """Return whether the archive fits a ConfigMap; a larger one travels by the run's store."""
    return len(code.data) <= CONFIG_MAP_BYTES


def code_url(plan: Plan, code: Code) -> str:
    """Return the URL of an archive that fits no ConfigMap. Raises InvalidInput where the run has no store."""
    store = store_url(plan)
    if not store:
        raise InvalidInput(
            f"spec.code: {plan.code} is {len(code.data):,} bytes packed, and an object of Kubernetes holds "
            f"{CONFIG_MAP_BYTES:,}. Leave data out with .surrealignore, or set spec.storage.url, which has room."
        )
    return f"{store}/code-{code.digest[:HASH_DIGITS]}.tar.gz"


def _files(texts: Mapping[str, str]) -> dict[str, str]:
    """Role -> text as file -> text."""
    return {f"{role}.json": text for role, text in texts.items()}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]
