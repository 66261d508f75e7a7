"""Pods satisfy Pod Security "restricted" and more; and the check that says so sees each field that is weakened."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.lifecycle.create import dry_run
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import ApiError
from tests.orchestrator.kube.pod_security import beyond, restricted
from tests.orchestrator.kube.rendered import everything, example, objects, of_kind, pods, queued
from tests.orchestrator.kube.small_run import namespace, needs_cluster

PLANS = [example, everything, queued]


@pytest.mark.parametrize("plan", PLANS)
def test_every_pod_is_restricted_and_keeps_our_promises(plan: Callable[[], Any]) -> None:
    for pod in pods(objects(plan())).values():
        assert restricted(pod) == []
        assert beyond(pod) == []


@pytest.mark.parametrize("plan", PLANS)
def test_no_account_has_a_token_and_no_secret_can_be_read_by_others(plan: Callable[[], Any]) -> None:
    found = objects(plan())
    accounts = of_kind("ServiceAccount", found)
    assert accounts and all(each["automountServiceAccountToken"] is False for each in accounts.values())
    own = {plan().storage.service_account} - {""}
    assert {pod["serviceAccountName"] for pod in pods(found).values()} == set(accounts) | own
    secrets = [volume["secret"] for pod in pods(found).values() for volume in pod["volumes"] if "secret" in volume]
    assert secrets and {each["defaultMode"] for each in secrets} == {0o400}
    assert {each["kind"] for each in found} & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} == set()


def worker(**security: Any) -> Callable[[Any], None]:
    """Weakens the worker's security context; None takes a field away."""
    return lambda pod: _set(pod["containers"][0]["securityContext"], security)


def whole(**security: Any) -> Callable[[Any], None]:
    """Weakens the pod's."""
    return lambda pod: _set(pod["securityContext"], security)


def spec(**fields: Any) -> Callable[[Any], None]:
    """Sets fields of the pod's spec."""
    return lambda pod: _set(pod, fields)


def container(**fields: Any) -> Callable[[Any], None]:
    """Sets fields of the worker's container."""
    return lambda pod: _set(pod["containers"][0], fields)


def volume(**source: Any) -> Callable[[Any], None]:
    """Adds a volume."""
    return lambda pod: pod["volumes"].append({"name": "more", **source})


def one_more(kind: str, **fields: Any) -> Callable[[Any], None]:
    """Adds a container that is locked up like the worker but for `fields`."""

    def add(pod: Any) -> None:
        security = {**pod["containers"][0]["securityContext"], **fields}
        pod.setdefault(kind, []).append({"name": "more", "image": "x", "securityContext": security})

    return add


def _set(data: Any, fields: dict[str, Any]) -> None:
    data.update({key: value for key, value in fields.items() if value is not None})
    for key in [key for key, value in fields.items() if value is None]:
        data.pop(key, None)


def all_of(*steps: Callable[[Any], None]) -> Callable[[Any], None]:
    """One weakening of several."""

    def weaken(pod: Any) -> None:
        for step in steps:
            step(pod)

    return weaken


WEAKENED: dict[str, Callable[[Any], None]] = {
    "host network": spec(hostNetwork=True),
    "host PIDs": spec(hostPID=True),
    "host IPC": spec(hostIPC=True),
    "host path": volume(hostPath={"path": "/etc"}),
    "NFS": volume(nfs={"server": "a", "path": "/b"}),
    "sysctl": whole(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    "root": whole(runAsUser=0),
    "root in the container": worker(runAsUser=0),
    "perhaps root": all_of(whole(runAsNonRoot=None), worker(runAsNonRoot=None)),
    "perhaps root in the container": worker(runAsNonRoot=False),
    "no seccomp": whole(seccompProfile=None),
    "seccomp off": worker(seccompProfile={"type": "Unconfined"}),
    "SELinux type": whole(seLinuxOptions={"type": "spc_t"}),
    "SELinux role": worker(seLinuxOptions={"role": "sysadm_r"}),
    "SELinux user": worker(seLinuxOptions={"user": "system_u"}),
    "AppArmor off": worker(appArmorProfile={"type": "Unconfined"}),
    "AppArmor off for the pod": whole(appArmorProfile={"type": "Unconfined"}),
    "Windows host process": whole(windowsOptions={"hostProcess": True}),
    "escalation": worker(allowPrivilegeEscalation=True),
    "escalation by default": worker(allowPrivilegeEscalation=None),
    "capabilities kept": worker(capabilities=None),
    "some capabilities dropped": worker(capabilities={"drop": ["NET_RAW"]}),
    "capabilities added": worker(capabilities={"drop": ["ALL"], "add": ["SYS_PTRACE"]}),
    "privileged": worker(privileged=True, allowPrivilegeEscalation=True),
    "all of /proc": worker(procMount="Unmasked"),
    "host port": container(ports=[{"containerPort": 80, "hostPort": 80}]),
    "probe of another host": container(livenessProbe={"httpGet": {"host": "10.0.0.1", "port": 80}}),
    "hook to another host": container(lifecycle={"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 80}}}),
    "init container": one_more("initContainers", allowPrivilegeEscalation=True),
    "ephemeral container": one_more("ephemeralContainers", capabilities={}),
}


@pytest.mark.parametrize("name", WEAKENED)
def test_the_check_sees_what_is_weakened(name: str) -> None:
    pod = weakened(name)
    assert restricted(pod) != []


@cache
def _learner() -> Any:
    return pods(objects(example()))["learner"]


def weakened(name: str) -> Any:
    """The learner's pod with one thing not as it should be."""
    pod = copy.deepcopy(_learner())
    WEAKENED[name](pod)
    return pod


@pytest.mark.parametrize(
    ("weaken", "said"),
    [
        (worker(readOnlyRootFilesystem=None), "may write its image"),
        (spec(automountServiceAccountToken=None), "may carry a token"),
        (spec(enableServiceLinks=None), "knows all Services"),
        (spec(terminationGracePeriodSeconds=5), "too little time"),
        (whole(runAsUser=1000), "a user that a node may have too"),
        (volume(emptyDir={}), "has no limit"),
        (container(command=["sh", "-c", "x"]), "runs something else"),
        (container(resources={"requests": {}, "limits": {}}), "requests no"),
    ],
)
def test_the_check_of_our_promises_sees_what_is_weakened(weaken: Callable[[Any], None], said: str) -> None:
    pod = copy.deepcopy(_learner())
    weaken(pod)
    assert said in " ".join(beyond(pod))


@pytest.mark.e2e
@needs_cluster
def test_a_real_cluster_agrees_about_every_weakening() -> None:
    """A namespace that enforces the standard refuses, as a dry run, what the check here sees."""
    with namespace() as api:
        outcomes = {name: _refusal(api, weakened(name)) for name in WEAKENED}
        assert _refusal(api, _learner()) == ""
    unseen = {name: text for name, text in outcomes.items() if "violates PodSecurity" not in text}
    # the API itself refuses these before the standard is asked
    assert set(unseen) == {"ephemeral container", "Windows host process", "all of /proc"}
    assert all(unseen.values())


def _refusal(api: Api, pod: Any) -> str:
    """What the server says to a pod; empty where it would take it."""
    spec = {**pod, "serviceAccountName": "default"}
    try:
        api.post("Pod", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "weak"}, "spec": spec}, dry_run=True)
    except ApiError as error:
        return str(error)
    return ""


@pytest.mark.e2e
@needs_cluster
@pytest.mark.parametrize("plan", [example, everything])
def test_a_real_cluster_takes_every_object(plan: Callable[[], Any]) -> None:
    with namespace() as api:
        found = [{**each, "metadata": {**each["metadata"], "namespace": api.namespace}} for each in objects(plan())]
        dry_run(api, found)
