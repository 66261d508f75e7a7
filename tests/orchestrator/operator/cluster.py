"""An API server of the tests with Experiments in it, and reconcilers that look at them when a test says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from surreal.orchestrator.backends.kube.names import CREATED, EXPERIMENT
from surreal.orchestrator.operator.experiments.judge import Patience
from surreal.orchestrator.operator.experiments.place import Place
from surreal.orchestrator.operator.experiments.reconcile import Reconciler
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import INSTANCE, Object
from tests.orchestrator.kube.apiserver import NAMESPACE, Server, api_server

NAME = "toy"
RUN_OBJECTS = 12
"""Objects of a run with a learner, actors and an evaluator on an emptyDir, without its pods; with a claim one more."""


def resource(name: str = NAME, **spec: Any) -> Object:
    """An Experiment as kubectl would send it."""
    given = {"env": {"id": "CartPole-v1"}, "algorithm": {"name": "ppo", "config": {}}, **spec}
    return {
        "apiVersion": "surreal.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name, "labels": {"team": "rl", "example.com/tool": "flux"}},
        "spec": given,
    }


class Cluster:
    """A server, and what a person and an operator do with it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.store = server.store
        self.person = server.api()

    def apply(self, name: str = NAME, **spec: Any) -> Object:
        """Do what kubectl create does."""
        return self.person.post("Experiment", resource(name, **spec))

    def patch(self, name: str = NAME, **spec: Any) -> None:
        """Edit the spec."""
        self.person.patch("Experiment", name, {"spec": spec})

    def reconciler(self, api: Api | None = None, patience: Patience | None = None) -> Reconciler:
        """A new operator's, which knows nothing yet."""
        return Reconciler(Place(api or self.server.api(), patience or Patience(), self.server.said.append))

    def reconcile(self, name: str = NAME, **options: Any) -> Object:
        """Look as a new operator; the status afterwards."""
        self.settle(self.reconciler(**options), name)
        return self.status(name)

    def settle(self, operator: Reconciler, name: str = NAME) -> None:
        """Look once, and again as long as processes of an earlier attempt have to end first."""
        operator.reconcile(name)
        while "to save and end" in str(self.status(name).get("reason")):
            with self.store.changed:
                self.store.changed.wait(0.01)
            operator.reconcile(name)

    def status(self, name: str = NAME) -> Object:
        found = self.person.find("Experiment", name) or {}
        return dict(found.get("status") or {})

    def condition(self, kind: str, name: str = NAME) -> Object:
        (found,) = [each for each in self.status(name)["conditions"] if each["type"] == kind]
        return dict(found)

    def root(self, name: str = NAME) -> Object:
        return dict(self.store.get("ConfigMap", NAMESPACE, name)["metadata"])

    def root_data(self, name: str = NAME) -> dict[str, str]:
        """Plan and file of a run."""
        return dict(self.store.get("ConfigMap", NAMESPACE, name)["data"])

    def events(self) -> list[str]:
        """Reason and message of every event on an Experiment."""
        found = [each for key, each in list(self.store.objects.items()) if key[0] == "Event"]
        return [f"{each['reason']}: {each['message']}" for each in found]

    def left(self) -> list[str]:
        """All that is there but events."""
        return [each for each in self.store.names() if not each.startswith("Event/")]

    def end_job(self, role: str, condition: str, name: str = NAME) -> None:
        """Let a Job end."""
        ended = {"type": condition, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        self.person.patch("Job", f"{name}-{role}", {"status": {"conditions": [ended], "completedIndexes": "0"}})

    def check_whole(self, name: str = NAME) -> None:
        """All objects of one run, that go with the Experiment."""
        uid = self.store.get("Experiment", NAMESPACE, name)["metadata"]["uid"]
        root = self.root(name)
        assert root["annotations"][CREATED]
        assert root["annotations"][EXPERIMENT] == uid
        ender = self.store.get("Job", NAMESPACE, f"{name}-learner")["metadata"]
        assert [each["uid"] for each in ender["ownerReferences"]] == [uid]
        assert [each["uid"] for each in root["ownerReferences"]] == [ender["uid"]]
        with self.store.changed:
            held = [
                each["metadata"]["name"]
                for (kind, *_), each in self.store.objects.items()
                if kind != "Pod" and (each["metadata"].get("labels") or {}).get(INSTANCE) == name
            ]
        # the wiring of other numbers of processes stays beside the new one until the run goes
        assert len([each for each in held if "-wiring-" not in each]) == RUN_OBJECTS - 1, held


def node() -> Object:
    """A machine with room for everything."""
    ready = [{"type": "Ready", "status": "True"}]
    room = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "900Gi"}
    about = {"name": "n1", "labels": {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": about,
        "status": {"allocatable": room, "capacity": room, "conditions": ready},
    }


@contextmanager
def cluster(folder: Path, **options: Any) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts."""
    with api_server(folder, **options) as server:
        yield Cluster(server)
