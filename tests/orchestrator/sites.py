"""The places where experiments run, as the tests of what all backends promise see them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from surreal.orchestrator.backends.base import Backend
from surreal.orchestrator.backends.kube.backend import KubeBackend
from surreal.orchestrator.backends.kube.names import query, selector
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.planning import plan_for
from surreal.orchestrator.run import home
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import Status
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.kube.accounts import EDITOR, editor
from tests.orchestrator.kube.small_run import CONTEXT, IMAGE, namespace
from tests.orchestrator.runs import is_dead, pid

INDEX = "batch.kubernetes.io/job-completion-index"
"""Kubernetes' label of the pods of an Indexed Job."""
HELD = ("Job", "Pod", "Service", "NetworkPolicy", "ServiceAccount", "ConfigMap", "Secret", "PersistentVolumeClaim")


def pole(name: str, **config: Any) -> dict[str, Any]:
    """CartPole that asks for little beside other tests: an experiment that learns within seconds."""
    asked = {"learner": "100m", "actor": "50m", "evaluator": "50m"}
    return {
        "apiVersion": "surreal.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "env": {"id": "CartPole-v1"},
            "algorithm": {
                "name": "ppo",
                "config": {
                    "total_steps": 500_000,
                    "fragment_steps": 64,
                    "minibatch": 256,
                    "learning_rate": 1e-3,
                    "gae_lambda": 0.8,
                    "normalize_observations": False,
                    "normalize_rewards": False,
                    "numba": False,
                    **config,
                },
            },
            "roles": {role: {"resources": {"cpu": cpu, "memory": "512Mi"}} for role, cpu in asked.items()},
            "checkpoints": {"everySeconds": 2.0},
            "image": IMAGE,
            "storage": {"size": "1Gi"},
        },
    }


class Site(Protocol):
    """A backend, and what its users cannot do with it."""

    @property
    def backend(self) -> Backend:
        """Runs experiments there."""

    @property
    def location(self) -> Location:
        """As the command line says it."""

    def kill(self, status: Status, role: str, index: int = 0) -> None:
        """End a process of a role by force."""

    def left(self, name: str, before: Status) -> list[str]:
        """What is there of an experiment, which was in the state `before` when it was deleted."""


class Here:
    """This machine."""

    def __init__(self) -> None:
        self.backend = LocalBackend()
        self.location = Location()

    def kill(self, status: Status, role: str, index: int = 0) -> None:
        os.kill(pid(self.backend, status.name, role, index), signal.SIGKILL)

    def left(self, name: str, before: Status) -> list[str]:
        pids = [each.pid for role in before.roles.values() for each in role if each.pid]
        alive = [str(each) for each in pids if not is_dead(each)]
        return alive + [each for each in home.names() if each == name]


class Cluster:
    """A namespace of its own in the cluster of SURREAL_E2E_CONTEXT, for a user of it."""

    def __init__(self, administrator: Api, location: Location) -> None:
        self.location = location
        self.backend = KubeBackend(location)
        self.api = administrator

    def kill(self, status: Status, role: str, index: int = 0) -> None:
        self.api.delete("Pod", self.pod(status.name, role, index)["metadata"]["name"])

    def evict(self, name: str, role: str) -> None:
        """As a drain of its node does: by the eviction API."""
        pod = self.pod(name, role)["metadata"]["name"]
        about = {"name": pod, "namespace": self.api.namespace}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
        self.api._json("POST", f"{self.api._path('Pod', pod)}/eviction", {}, eviction)

    def pod(self, name: str, role: str, index: int = 0) -> Object:
        """The running pod of a process of a role."""
        pods = self.api.list("Pod", query({**selector(name, role), INDEX: str(index)}))
        return next(pod for pod in pods if pod["status"].get("phase") == "Running")

    def left(self, name: str, before: Status) -> list[str]:
        found = [(kind, each["metadata"]["name"]) for kind in HELD for each in self.api.list(kind)]
        every_namespace_has = ("default", EDITOR, "kube-root-ca.crt", "openshift-service-ca.crt")
        return [f"{kind} {name}" for kind, name in found if name not in every_namespace_has]


@contextmanager
def cluster(security: str, folder: Path) -> Iterator[Cluster]:
    """A namespace that enforces this level of Pod Security, until the end of the block.

    In a `restricted` one the user has ClusterRole `edit` and nothing else; elsewhere it is the administrator.
    """
    with namespace(security) as api:
        administrator = Location("kube", api.namespace, CONTEXT)
        edits = security == "restricted"
        user = Location("kube", api.namespace, EDITOR, str(editor(api, folder))) if edits else administrator
        site = Cluster(api, user)
        try:
            yield site
            for each in site.backend.names():
                site.backend.delete(each)
        finally:
            site.backend.close()


def create(site: Site, data: dict[str, Any]) -> str:
    """Start an experiment as the command line does; its name."""
    experiment = Experiment.from_data(data)
    site.backend.create(experiment, plan_for(experiment, Machines(site.location)))
    return experiment.metadata.name


def when(site: Site, name: str, what: str, holds: Callable[[Status], object], seconds: float = 120.0) -> Status:
    """The first status for which `holds`; the seconds only bound a failure."""
    deadline = time.monotonic() + seconds
    while not holds(status := site.backend.status(name)):
        assert time.monotonic() < deadline, f"never happened: {what}; {status.state}: {status.reason}"
        time.sleep(site.backend.poll_interval / 4)
    return status
