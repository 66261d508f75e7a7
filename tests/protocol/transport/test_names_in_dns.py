"""Pods find each other by name: before the name means anything, and after it has come to mean another address.

Real addresses: a network namespace for each pod, joined by a bridge, with a file of host names that they share. Needs
root; skipped elsewhere.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from surreal.protocol.errors import ExitCode
from tests.protocol.network import why_not
from tests.protocol.pods import MakePods, make_pods

__all__ = ["make_pods"]
pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

Until = Callable[..., None]
NAME = "cheetah-learner-0.cheetah"
ROLES = """
import os, time
def learner(process):
    while not os.path.exists(process.wiring.run_folder + "/end"):
        process.stopping.wait(0.01)
def actor(process):
    number = 0
    while not process.stopping.wait(0.2):
        number += 1
        print("tick", number, flush=True)
"""
HASTY = """
import sys
from surreal.protocol.membership import member, server
from surreal.protocol.worker import __main__ as worker
member.DEAD_AFTER_S = server.DEAD_AFTER_S = 2.0
sys.exit(worker.main())
"""
VERSIONS = {4: ("10.88.0.{}/24", "10.88.0.{}"), 6: ("fd88::{}/64", "fd88::{}")}


class Cluster:
    """Namespaces on a bridge, and the names that all of them know."""

    def __init__(self, folder: Path, version: int) -> None:
        self._tag, self._names, self._version = f"surreal-{os.getpid()}", folder / "hosts", version
        self._names.touch()
        self._namespaces: list[str] = []
        self._hub = self._add("hub")
        self._ip(self._hub, "link add bridge type bridge")
        self._ip(self._hub, "link set bridge up")

    def machine(self, number: int) -> tuple[str, ...]:
        """A new machine; the command that runs its arguments there."""
        namespace = self._add(str(number))
        self._ip(self._hub, f"link add port{number} type veth peer cable netns {namespace}")
        self._ip(self._hub, f"link set port{number} master bridge up")
        address = VERSIONS[self._version][0].format(number)
        self._ip(namespace, f"addr add {address} dev cable" + " nodad" * (self._version == 6))
        for link in ("lo", "cable"):
            self._ip(namespace, f"link set {link} up")
        return ("ip", "netns", "exec", namespace)

    def unplug(self, number: int) -> None:
        """The machine answers nobody any more."""
        self._ip(self._hub, f"link set port{number} down")

    def name(self, number: int) -> None:
        """NAME means this machine from now on."""
        self._names.write_text(f"{VERSIONS[self._version][1].format(number)} {NAME}\n")

    def close(self) -> None:
        for namespace in self._namespaces:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)
            shutil.rmtree(Path("/etc/netns") / namespace, ignore_errors=True)

    def _add(self, name: str) -> str:
        """`ip netns exec` puts the files of /etc/netns/NAME over those of /etc."""
        namespace = f"{self._tag}-{name}"
        self._namespaces.append(namespace)
        folder = Path("/etc/netns") / namespace
        folder.mkdir(parents=True)
        (folder / "hosts").symlink_to(self._names)
        subprocess.run(["ip", "netns", "add", namespace], check=True)
        return namespace

    def _ip(self, namespace: str, command: str) -> None:
        subprocess.run(["ip", "-n", namespace, *command.split()], check=True)


@pytest.fixture(params=[4, pytest.param(6, marks=pytest.mark.slow)], ids=["IPv4", "IPv6"])
def cluster(request: pytest.FixtureRequest, folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder, request.param)
    yield cluster
    cluster.close()


def test_a_learner_is_found_by_name_when_it_comes_and_when_it_comes_back_elsewhere(
    make_pods: MakePods, cluster: Cluster, until: Until
) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 1}, host=NAME, prefix=(sys.executable, "-P", "-c", HASTY))
    actor = pods.start("actor", within=cluster.machine(9))
    until(lambda: f"at tcp://{NAME}" in actor.log(), "the actor to say that it waits")
    first = pods.start("learner", within=cluster.machine(1))
    cluster.name(1)
    until(lambda: "tick 1\n" in pods.shipped("actor-0.100000.log"), "the actor's lines")
    cluster.unplug(1)
    os.killpg(first.process.pid, 9)
    said = actor.log().count("tick")
    cluster.name(2)
    second = pods.start("learner", failures=1, within=cluster.machine(2))
    until(lambda: f"tick {said + 5}\n" in pods.shipped("actor-0.100000.log"), "lines to the new address")
    assert [f"tick {number}\n" in pods.shipped("actor-0.100000.log") for number in (1, said, said + 1)] == [True] * 3
    (pods.folder / "learner" / "end").touch()
    assert (second.wait(), actor.wait()) == (ExitCode.DONE, ExitCode.DONE)
