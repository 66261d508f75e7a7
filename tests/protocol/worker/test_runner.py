"""The worker: real processes that read a wiring, run a role, and end with the exit status that the table says."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import ChannelWiring, Wiring
from tests.protocol.conftest import end

ROLES = """
import time
import numpy as np
from surreal.protocol.errors import ExitCode, Fatal

def returns_nothing(process): pass
def is_preempted(process): return ExitCode.PREEMPTED
def is_misconfigured(process): raise Fatal("the config asks for 3 legs")
def crashes(process): return 1 / 0
def waits(process):
    print("waiting", flush=True)
    process.subscriber("weights").wait()
def ignores_the_first_signals(process):
    print("waiting", flush=True)
    process.stopping.wait()
    print(process.session.stop_reason, flush=True)
    input()
    return ExitCode.PREEMPTED
def ignores_everything(process):
    print("waiting", flush=True)
    while True: time.sleep(0.1)
def counts_files(process):
    import resource
    print(*resource.getrlimit(resource.RLIMIT_NOFILE), flush=True)
def misspells(process): process.sender("experiense")
def learner(process):
    experience, weights = process.receiver("experience"), process.publisher("weights")
    weights.publish({"w": np.zeros(100_000)}, {}, 1)
    total = 0
    while total < 50:
        total += experience.recv(120).arrays["steps"].size
    while process.session.alive("actor") != {0, 1}:
        experience.recv(120)
def actor(process):
    process.subscriber("weights").wait()
    while True:
        process.sender("experience").send({"steps": np.zeros(10)}, version=(1, 1))
"""


@pytest.fixture
def wiring(folder: Path) -> Wiring:
    """An actor's wiring, whose role functions lie in the experimenter's folder."""
    (folder / "roles.py").write_text(ROLES)
    return Wiring(
        experiment="test",
        role="actor",
        index=0,
        incarnation=1,
        run="roles:returns_nothing",
        replicas={"learner": 1, "actor": 2},
        channels={
            "experience": ChannelWiring(
                "experience", "stream", ("actor",), ("learner",), addresses=(f"ipc://{folder}/experience",), window=4
            ),
            "weights": ChannelWiring(
                "weights", "broadcast", ("learner",), ("actor",), addresses=(f"ipc://{folder}/weights",)
            ),
        },
        control=f"ipc://{folder}/control",
        serves_control=False,
        run_folder=str(folder),
        seed=1,
        code=str(folder),
    )


Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def launch(folder: Path) -> Iterator[Launch]:
    """Starts the worker on a wiring as a backend does."""
    workers: list[subprocess.Popen[str]] = []

    def launch(wiring: Wiring, lifeline: int | None = None) -> subprocess.Popen[str]:
        path = folder / f"{wiring.role}-{wiring.index}.json"
        wiring.write(path)
        workers.append(
            subprocess.Popen(
                [sys.executable, "-P", "-m", "surreal.protocol.worker", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=() if lifeline is None else (lifeline,),
                env={**os.environ, **({} if lifeline is None else {"SURREAL_LIFELINE": str(lifeline)})},
            )
        )
        return workers[-1]

    yield launch
    for worker in workers:
        end(worker)


def says(worker: subprocess.Popen[str]) -> str:
    """The next line that the worker prints."""
    assert worker.stdout
    return worker.stdout.readline().strip()


def test_a_worker_takes_as_many_open_files_as_it_may(wiring: Wiring, folder: Path) -> None:
    replace(wiring, run="roles:counts_files").write(folder / "wiring.json")
    worker = [sys.executable, "-P", "-m", "surreal.protocol.worker", str(folder / "wiring.json")]
    command = ["sh", "-c", 'ulimit -Sn 64; ulimit -Hn 2000; exec "$@"', "sh", *worker]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "2000 2000\n"


def test_a_wiring_survives_its_file(wiring: Wiring, folder: Path) -> None:
    wired = replace(wiring, config={"hidden": [64, 64], "clip": 0.2}, env={"id": "X-v0"})
    wired.write(folder / "wiring.json")
    assert Wiring.read(folder / "wiring.json") == wired
    assert (folder / "wiring.json").stat().st_mode & 0o777 == 0o600
    assert wired.name == "actor/0"


@pytest.mark.parametrize(
    ("role", "code", "text", "traceback"),
    [
        ("roles:returns_nothing", ExitCode.DONE, "INFO actor/0 ends: done", False),
        ("roles:is_preempted", ExitCode.PREEMPTED, "INFO actor/0 ends: preempted", False),
        ("roles:is_misconfigured", ExitCode.FATAL, "ERROR the config asks for 3 legs", False),
        ("roles:crashes", ExitCode.FAILED, "ZeroDivisionError", True),
        (
            "roles:misspells",
            ExitCode.FATAL,
            "actor: has no stream 'experiense' to send on (did you mean 'experience'?). It has: experience.",
            False,
        ),
        ("roles:nothing_there", ExitCode.FATAL, "cannot import roles:nothing_there", True),
        ("no_such_module:run", ExitCode.FATAL, "cannot import no_such_module:run: No module named", True),
    ],
)
def test_the_exit_status_and_the_log_say_how_a_role_ended(
    wiring: Wiring, launch: Launch, role: str, code: ExitCode, text: str, traceback: bool
) -> None:
    worker = launch(replace(wiring, run=role))
    _, log = worker.communicate()
    assert worker.returncode == code
    assert text in log
    assert ("Traceback" in log) == traceback


def test_a_file_that_is_no_wiring_is_fatal(folder: Path) -> None:
    (folder / "x.json").write_text('{"experiment": 1}')
    command = [sys.executable, "-P", "-m", "surreal.protocol.worker"]
    for arguments, code in (([], 2), ([str(folder / "x.json")], 3), ([str(folder / "none.json")], 3)):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert done.returncode == code
        assert "Traceback" not in done.stderr and "ERROR" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_wait_as_done(wiring: Wiring, launch: Launch, number: signal.Signals) -> None:
    worker = launch(replace(wiring, run="roles:waits"))
    assert says(worker) == "waiting"
    worker.send_signal(number)
    _, log = worker.communicate()
    assert worker.returncode == ExitCode.PREEMPTED
    assert f"stopped: {number.name}" in log


def test_a_second_signal_does_not_interrupt_the_end(wiring: Wiring, launch: Launch) -> None:
    worker = launch(replace(wiring, run="roles:ignores_the_first_signals"))
    assert says(worker) == "waiting"
    worker.send_signal(signal.SIGTERM)
    assert says(worker) == "SIGTERM"
    worker.send_signal(signal.SIGTERM)
    worker.send_signal(signal.SIGINT)
    worker.communicate("go on\n")
    assert worker.returncode == ExitCode.PREEMPTED


@pytest.mark.parametrize(
    ("role", "codes", "last"),
    [
        (
            "waits",
            (ExitCode.PREEMPTED, ExitCode.FAILED),
            "stopped: the supervisor is gone",
        ),  # FAILED if slower than 2 s
        ("ignores_everything", (ExitCode.FAILED,), "the supervisor is gone: stopping"),
    ],
)
def test_the_end_of_the_lifeline_ends_the_worker(
    wiring: Wiring, launch: Launch, role: str, codes: tuple[ExitCode, ...], last: str
) -> None:
    ours, theirs = os.pipe()
    worker = launch(replace(wiring, run=f"roles:{role}"), lifeline=ours)
    os.close(ours)
    assert says(worker) == "waiting"
    os.close(theirs)
    _, log = worker.communicate()
    assert worker.returncode in codes
    assert last in log


def test_a_second_worker_of_one_name_ends_as_fatal(wiring: Wiring, launch: Launch) -> None:
    learner = launch(replace(wiring, role="learner", serves_control=True, run="roles:ignores_the_first_signals"))
    assert says(learner) == "waiting"
    first = launch(replace(wiring, incarnation=2, run="roles:waits"))
    assert says(first) == "waiting"
    second = launch(replace(wiring, incarnation=1, run="roles:waits"))
    _, log = second.communicate()
    assert second.returncode == ExitCode.FATAL
    assert "actor/0 was turned away: actor/0 incarnation 1 was replaced by incarnation 2 (pid" in log
    assert first.poll() is None


def test_a_whole_run_ends_when_its_learner_is_done(wiring: Wiring, launch: Launch) -> None:
    actors = [launch(replace(wiring, index=i, run="roles:actor")) for i in range(2)]
    learner = launch(replace(wiring, role="learner", serves_control=True, run="roles:learner"))
    for worker, last in ((learner, "learner/0 ends: done"), *((actor, "stopped: the run is over") for actor in actors)):
        _, log = worker.communicate()
        assert worker.returncode == ExitCode.DONE, log
        assert last in log
