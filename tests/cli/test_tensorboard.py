"""`surreal tensorboard`."""

import json
import re
import signal
import subprocess
import urllib.request
from contextlib import suppress

import psutil

from surreal.algorithms.recording.metrics import Metrics
from surreal.cli.commands.run.connect import arguments
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from surreal.protocol.telemetry.gauges import Gauges
from surreal.protocol.wiring import Wiring
from tests.cli.terminal import SURREAL, terminal
from tests.orchestrator.runs import is_dead, until


def test_metrics_are_served_to_this_machine_alone() -> None:
    given = " ".join(arguments("/runs", 6006))
    assert given.endswith("--logdir /runs --host 127.0.0.1 --port 6006")


def test_tensorboard_starts(place: LocalBackend) -> None:
    for name in ("old", "new"):
        home.new_folder(name).make()
        metrics = Metrics(
            home.find(name).path, Gauges(Wiring("old", "learner", 0, 1, "", {"learner": 1}, {}, "", True, "", 1))
        )
        metrics.write("learner/0", 1, {"loss": 0.5})
        metrics.close()
    with terminal("tensorboard", "old", "new", "--port", "0") as screen:
        screen.wait_for("TensorBoard")
        screen.wait_for("http://127.0.0.1:")
        (port,) = set(re.findall(r"127\.0\.0\.1:(\d+)", screen.shown))
        until(lambda: _runs(port) == ["new", "old"], "both runs are served under their names")
        screen.press(b"\x03")
        screen.end()


def _runs(port: str) -> list[str]:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs", timeout=120) as answer:
        return sorted(json.loads(answer.read()))
    return []


def test_tensorboard_goes_with_the_command_that_started_it(place: LocalBackend) -> None:
    home.new_folder("old").make()
    command = [*SURREAL, "tensorboard", "old", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr
        assert any("http://127.0.0.1:" in line for line in started.stderr)
        (served,) = psutil.Process(started.pid).children()
        started.send_signal(signal.SIGTERM)
        assert started.wait(120) == 128 + signal.SIGTERM
        until(lambda: is_dead(served.pid), "TensorBoard is gone")
