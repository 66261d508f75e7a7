"""Taking a profile of a run: ask the run over its own place, wait, and fetch what its processes recorded."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from surreal.orchestrator.backends.base import Backend
from surreal.orchestrator.backends.kube.names import RUN_FOLDER
from surreal.orchestrator.client import Run
from surreal.orchestrator.profiling.advice import ENDING
from surreal.orchestrator.profiling.profile import Profile
from surreal.orchestrator.run.usage import Usage
from surreal.protocol.errors import InvalidInput, SurrealError, Timeout
from surreal.protocol.profiling.request import BUSY, DONE, FOLDER, MOST_SECONDS, ProfileRequest

ANSWER_SECONDS = 30.0
"""Time beyond a profile's own that a run has to find the request and to write the last of it."""
LOOK_SECONDS = 1.0
START_SECONDS = 600.0
"""Time that a run which is begun for its profile has until its first steps."""
MODULE = "surreal.protocol.profiling.request"


def profile_run(run: Run, seconds: float, keep: Path, say: Callable[[str], None], intercept: bool = True) -> Profile:
    """Take a profile of a run that goes on, of so many `seconds`, into the folder `keep`. The run is not disturbed.

    Raises InvalidInput for a run that does not run, and Timeout where it does not answer.
    """
    check(seconds, keep)
    status = run.status()
    if status.state != "running":
        has = "has" if status.state in ("succeeded", "failed") else "is"
        raise InvalidInput(
            f"{run.name}: {has} {status.state}, and only a run that runs has a profile. "
            "Resume it, or profile its file: surreal profile FILE."
        )
    request = ProfileRequest(datetime.now(UTC).strftime("%Y%m%d-%H%M%S"), seconds, intercept)
    _ask(run.backend, run.name, request)
    say(f"profiling {run.name} for {seconds:g} s; it goes on meanwhile")
    _await(run, request, seconds + ANSWER_SECONDS)
    return Profile.read(run.name, _fetched(run, request, keep), seconds)


def check(seconds: float, keep: Path) -> None:
    """Raise InvalidInput for what is no length of a profile, and for a folder that cannot take one.

    Call it before a run is begun: what a profile took minutes for would be lost.
    """
    if not 0 < seconds <= MOST_SECONDS:
        raise InvalidInput(f"--seconds: {seconds:g} is no length of a profile. Take up to {MOST_SECONDS:g}.")
    try:
        keep.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=keep) as file:
            file.write(b"0")
    except OSError as error:
        raise InvalidInput(f"--out: {keep} takes no files: {error.strerror}. Name another folder.") from None


def begin_and_profile(
    begin: Callable[[], Run], seconds: float, keep: Path, say: Callable[[str], None], intercept: bool = True
) -> Profile:
    """Begin a run for its profile, take that once it makes steps, and delete it."""
    check(seconds, keep)
    with _begun(begin, say) as run:
        return profile_run(run, seconds, keep, say, intercept)


def begin_and_measure(
    begin: Callable[[], Run], seconds: float, keep: Path, say: Callable[[str], None]
) -> tuple[Profile, Usage]:
    """Begin a run to measure it alone: return its profile without interception, and what it used in the end."""
    check(seconds, keep)
    with _begun(begin, say) as run:
        profile = profile_run(run, seconds, keep, say, intercept=False)
        return profile, run.usage()


@contextmanager
def _begun(begin: Callable[[], Run], say: Callable[[str], None]) -> Iterator[Run]:
    run = begin()
    try:
        say(f"{run.name}: waiting for its first steps")
        _await_steps(run)
        yield run
    finally:
        run.delete()


def _ask(place: Backend, name: str, request: ProfileRequest) -> None:
    """Leave the request in the run's folder, beside the process that serves control."""
    program = "python3" if place.remote else sys.executable
    command = [program, "-P", "-m", MODULE, json.dumps(request.to_data()), ".", RUN_FOLDER]
    roles = sorted(place.status(name).roles, key=lambda role: role not in ENDING)
    for role in roles:
        code = place.execute(name, role, command, False)
        if code == BUSY:
            raise InvalidInput(f"{name}: another profile of it is being taken. Wait for its end.")
        if code == 0:
            return
    raise SurrealError(f"{name}: no process of it has the run's folder. See surreal status {name}.")


def _await(run: Run, request: ProfileRequest, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        time.sleep(LOOK_SECONDS)
        with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
            run.backend.fetch(run.name, f"{FOLDER}/{request.name}/{DONE}", Path(folder))
            if Path(folder, FOLDER, request.name, DONE).exists():
                return
        if run.status().over:
            # what was written until then is a profile too
            return
        if time.monotonic() > deadline:
            raise Timeout(f"{run.name}: gave no profile within {seconds:.0f} s. See surreal logs {run.name}.")


def _await_steps(run: Run) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (status := run.status()).progress.updates:
        if status.over:
            raise SurrealError(f"{run.name}: {status.state} before its first steps: {status.reason}. See its cause.")
        if time.monotonic() > deadline:
            raise Timeout(f"{run.name}: made no step within {START_SECONDS:.0f} s. See surreal logs {run.name}.")
        time.sleep(LOOK_SECONDS)


def _fetched(run: Run, request: ProfileRequest, keep: Path) -> Path:
    run.backend.fetch(run.name, f"{FOLDER}/{request.name}/", keep)
    return keep / FOLDER / request.name
