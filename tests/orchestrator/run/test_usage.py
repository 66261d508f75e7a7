"""CPU and memory of processes of this machine."""

import os
import subprocess
import sys

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run.usage import RoleUsage, Used
from surreal.orchestrator.supervision import usage
from surreal.protocol.documents.quantity import format_size
from tests.orchestrator.runs import begun, create, finish, pid, until

BURN = "import os, time; x = bytearray(64 << 20); print(os.getpid(), flush=True)\nwhile True: pass"


def group(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_a_process_counts_with_its_children() -> None:
    shell = group("/bin/sh", "-c", f"{sys.executable} -c '{BURN}' & wait")
    try:
        assert shell.stdout and shell.stdout.readline()
        used = usage.measure({shell.pid, 2**22 + 1})
        assert used.keys() == {shell.pid}, "of a group that does not exist nothing is said"
        assert (used[shell.pid].memory or 0) > 64 << 20
        first = usage.sample({shell.pid})[shell.pid]
        until(lambda: usage.sample({shell.pid})[shell.pid].cpu > first.cpu, "CPU is counted")
    finally:
        os.killpg(shell.pid, 9)
        shell.communicate()


def test_nothing_to_measure_takes_no_time() -> None:
    assert usage.measure(()) == {}


def test_ps_agrees_with_the_files_of_linux() -> None:
    found = dict(usage._ps())
    assert found[os.getpgrp()].memory > 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("0:00.07", 0.07), ("3:04", 184), ("01:02:03", 3723), ("2-00:00:01", 172801)]
)
def test_times_are_read_as_ps_writes_them(text: str, seconds: float) -> None:
    assert usage.cpu_seconds(text) == seconds


def test_a_local_run_says_what_each_process_uses(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    begun(place, name, "actor")
    begun(place, name, "evaluator")
    found = place.usage(name)
    assert found.status.state == "running" and not found.note
    assert [(role.name, role.replicas, len(role.processes)) for role in found.roles] == [
        ("actor", 2, 2),
        ("learner", 1, 1),
        ("evaluator", 1, 1),
    ]
    document = found.document()
    learner = document["roles"][1]
    assert learner["memory"] > 10 << 20 and learner["cpu"] >= 0 and learner["memory_asked"] == 2**20
    assert learner["processes"][0].keys() == {"index", "node", "cpu", "memory"}
    finish(place, name)
    until(lambda: place.status(name).over, "it is over")
    over = place.usage(name)
    assert [role.processes for role in over.roles] == [(), (), ()]
    assert over.roles[0].cpu is None and over.roles[0].busiest is None and over.roles[0].largest is None


def test_the_whole_is_the_sum_of_what_is_known() -> None:
    from surreal.orchestrator.run.usage import ProcessUsage

    processes = tuple(ProcessUsage(i, "n", used) for i, used in enumerate([Used(0.5, 10), Used(), Used(0.25, 30)]))
    role = RoleUsage("actor", 4, 1.0, 100, processes)
    assert (role.cpu, role.memory) == (0.75, 40)
    assert role.busiest and role.largest and (role.busiest.index, role.largest.index) == (0, 2)
    assert (format_size(2 * 2**30), format_size(512 * 2**20)) == ("2.0 GiB", "512 MiB")
