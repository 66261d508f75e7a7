"""Verbs of a sweep: start, stop, resume and delete it with all its runs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

from surreal.orchestrator.client import Client
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.sweeps.folder import Record, SweepFolder
from surreal.orchestrator.sweeps.inspect import inspect
from surreal.orchestrator.sweeps.load import Sweep
from surreal.orchestrator.sweeps.study import open_study
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError

START_SECONDS = 30.0
"""Time that a driver has to import its modules and take its lock."""


def start(sweep: Sweep, location: Location) -> SweepFolder:
    """Begin a sweep; return when its driver lives. Raises InvalidInput, with nothing begun, for what cannot run."""
    # A run that does not fit the place is refused before the folder is there.
    first = sweep.run(0, {}, sweep.seeds[0])
    Client.at(location).plan(first)
    inspect(sweep, location)
    folder = SweepFolder.make(sweep, location)
    try:
        open_study(sweep.document.spec, folder.path, {})
        _drive(folder)
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder


def resume(name: str) -> SweepFolder:
    """Go on with a sweep whose driver is gone, and with its runs. Raises InvalidInput for one that is over."""
    folder = SweepFolder.find(name)
    record = folder.read()
    if record.state == "running":
        raise InvalidInput(f"{name}: is running, nothing to resume. Look at it: surreal status {name}")
    if record.state == "succeeded":
        raise InvalidInput(f"{name}: has succeeded, nothing to resume. Begin another sweep.")
    for trial in record.trials:
        if trial.state == "stopped":
            trial.state = "running"
    folder.write(Record("running", "", None, record.trials))
    _drive(folder)
    return folder


def stop(name: str) -> int:
    """End the driver, and all runs after a checkpoint. Return the number of runs that were stopped."""
    folder = SweepFolder.find(name)
    _end_driver(folder)
    record, backend = folder.read(), Client.at(folder.location()).backend
    stopped = 0
    for trial in record.trials:
        if trial.state == "running":
            for run in trial.runs:
                with suppress(NotFound):
                    stopped += backend.stop(run)
    if record.state == "stopped":
        folder.write(Record("stopped", "", None, record.trials))
    return stopped


def delete(name: str) -> int:
    """End the driver, delete all runs and the folder. Return the number of runs that were deleted."""
    folder = SweepFolder.find(name)
    _end_driver(folder)
    deleted = 0
    with suppress(InvalidInput):
        backend = Client.at(folder.location()).backend
        for trial in folder.read().trials:
            for run in trial.runs:
                with suppress(NotFound):
                    backend.delete(run)
                    deleted += 1
    shutil.rmtree(folder.path)
    return deleted


def _drive(folder: SweepFolder) -> None:
    """Start a driver that outlives this process; return when it holds the lock. Raises SurrealError if it does not."""
    command = [sys.executable, "-P", "-m", "surreal.orchestrator.sweeps.driver", folder.name]
    with (folder.path / "driver.log").open("ab") as log:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            start_new_session=True,
            timeout=START_SECONDS,
            check=False,
        )
    if done.returncode:
        raise SurrealError(f"{folder.name}: its driver did not start. See {folder.path}/driver.log")


def _end_driver(folder: SweepFolder) -> None:
    """End the driver, if one lives."""
    record = folder.read()
    while folder.driven():
        if record.driver:
            with suppress(ProcessLookupError):
                os.kill(record.driver, signal.SIGTERM)
        time.sleep(0.05)
        record = folder.read()
