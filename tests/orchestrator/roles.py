"""Role functions of a toy algorithm, run by the real worker: `run` of the plans in `runs.py` points here.

The learner counts steps and ends when the test says so, by a file in the run folder; nothing depends on time.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import numpy as np

from surreal.protocol.errors import ExitCode, Fatal
from surreal.protocol.worker.guard import limits
from surreal.protocol.worker.process import Process

TICK = 0.01


def learner(process: Process) -> ExitCode:
    """Count a step a tick, from the checkpoint on, until the file `finish` appears."""
    folder = Path(process.wiring.run_folder)
    checkpoint = folder / "checkpoints" / "steps.json"
    steps = json.loads(checkpoint.read_text()) if checkpoint.exists() else 0
    print(f"{process.wiring.name} begins at {steps}")
    while not (folder / "finish").exists():
        if process.stopping.wait(TICK):
            checkpoint.write_text(json.dumps(steps))
            return ExitCode.PREEMPTED
        steps += 1
        row = {"time": time.time(), "elapsed": steps * TICK, "role": "learner/0", "steps": steps, "total_steps": 10**6}
        row |= {"updates": steps, "steps_per_second": 100.0, "episode_return": None, "staleness": 0.5}
        with (folder / "metrics" / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
    return ExitCode.DONE


def limited(process: Process) -> ExitCode:
    """A learner whose hours are used up as soon as it has begun for the first time."""
    if not (Path(process.wiring.run_folder) / "checkpoints" / "steps.json").exists():
        process.wiring.limits["hours"] = 1e-9
    return learner(process)


def deaf_to_limits(process: Process) -> None:
    """A learner that does not hear that its hours are used up."""
    limits.SAVE_S = 0.1
    process.wiring.limits["hours"] = 1e-9
    deaf(process)


def eater(process: Process) -> ExitCode:
    """A learner that takes in what `feeder` sends."""
    folder, experience = Path(process.wiring.run_folder), process.receiver("experience")
    while not (folder / "finish").exists():
        experience.recv(TICK)
    return ExitCode.DONE


def feeder(process: Process) -> None:
    """An actor that sends as fast as its window lets it."""
    while True:
        process.sender("experience").send({"steps": np.zeros(100)})


def actor(process: Process) -> None:
    """Wait for the end."""
    print(f"{process.wiring.name} begins")
    process.stopping.wait()


def parent(process: Process) -> None:
    """An actor with a child of its own, whose pid it leaves in the run folder."""
    child = subprocess.Popen(["sleep", "1000"])
    (Path(process.wiring.run_folder) / "child").write_text(str(child.pid))
    process.stopping.wait()
    os._exit(0)


def deaf(process: Process) -> None:
    """An actor that does not hear any wish to stop."""
    print(f"{process.wiring.name} begins")
    while True:
        time.sleep(60)


def brief(process: Process) -> None:
    """An actor that is done at once."""


def hopeless(process: Process) -> None:
    """A role that cannot ever work."""
    raise Fatal("no such environment: Walker9-v5.")


def leaver(process: Process) -> None:
    """Begin, then end the process as a simulator does whose window is closed."""
    print(f"{process.wiring.name} begins")
    sys.exit()


def quitter(process: Process) -> None:
    """End the process below Python, with the status of a success."""
    print(f"{process.wiring.name} begins", flush=True)
    os._exit(0)


def crasher_at_exit(process: Process) -> ExitCode:
    """A learner whose library kills the process once it has returned."""
    atexit.register(os.kill, os.getpid(), signal.SIGSEGV)
    return learner(process)


def short_second(process: Process) -> ExitCode:
    """A learner of two replicas: the second one is done at once."""
    return learner(process) if process.wiring.index == 0 else ExitCode.DONE


def stuck(process: Process) -> None:
    """An actor that waits for what never comes, in no channel."""
    print(f"{process.wiring.name} begins", flush=True)
    Event().wait()


def spinning(process: Process) -> None:
    """An actor that computes for ever and uses its channels all the time."""
    print(f"{process.wiring.name} begins", flush=True)
    while not process.stopping.wait(0.001):
        pass


def broken(process: Process) -> None:
    """An actor that always fails, with another address in its words each time."""
    raise ValueError(f"no licence at {id(object()):#x} for start {process.wiring.incarnation}")


def noisy(process: Process) -> None:
    """An actor that draws a progress bar, and would clear the screen of its reader."""
    print("\x1b[2J\x1b[H" + "\r".join(f"{percent} %" for percent in range(101)), flush=True)
    process.stopping.wait()
