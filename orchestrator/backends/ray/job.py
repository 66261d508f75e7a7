"""Driver of a run whose Ray cluster was made for it: `python -P -m surreal.orchestrator.backends.ray.job NAME FOLDER`.

It runs on the head. `FOLDER` has the experiment, the plan and the code; a worker group of the cluster is called after
each role. The run begins, or goes on in the folder that an earlier head left; the exit code is its outcome. A run that
was stopped is not over: its cluster is about to be removed. `NAME --stop` has every process save and end.
"""

import hashlib
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from surreal.orchestrator.backends.ray import placement
from surreal.orchestrator.backends.ray.actors.supervisor import Supervisor
from surreal.orchestrator.backends.ray.connection.cluster import NAMESPACE
from surreal.orchestrator.backends.ray.connection.pools import GROUP
from surreal.orchestrator.backends.ray.runs import Runs
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder, home
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.provenance import provenance
from surreal.orchestrator.run.status import Status
from surreal.orchestrator.supervision.record import RunRecord
from surreal.protocol.errors import ExitCode, NotFound, SurrealError, Unreachable

STOP_SECONDS, LOOK_SECONDS = 90.0, 2.0
CODE = "code.tar.gz"
ATTEMPT_VARIABLE = "SURREAL_ATTEMPT"
"""Number of the attempt that a person asked for; the cluster's own tries have the same one."""


def main(name: str, folder: str) -> ExitCode:
    """Begin the run, or end the processes of one, and return the exit code."""
    runs = Runs(Location("ray"))
    try:
        if folder == "--stop":
            runs.ask(name, "stop", seconds=STOP_SECONDS)
            return ExitCode.DONE
        return _conducted(runs, name, Path(folder))
    except SurrealError as error:
        print(error, file=sys.stderr, flush=True)
        return error.exit_code
    finally:
        runs.close()


def inside(plan: Plan) -> Plan:
    """Return the plan with each role on the nodes of the worker group of its name."""
    roles = tuple(role.model_copy(update={"selectors": ({GROUP: role.name},)}) for role in plan.roles)
    return plan.model_copy(update={"roles": roles})


def begin(runs: Runs, name: str, documents: Path) -> None:
    """Have a supervisor conduct the run: one that lives, or a new one that begins or goes on."""
    try:
        runs.supervisor(name)
    except NotFound:
        supervisor = _started(runs, name)
    else:
        return
    call = runs.cluster().call
    folder = Folder(home() / "ray" / name)
    if folder.plan.exists():
        call(supervisor.resume.remote(True))
    else:
        call(supervisor.create.remote(*_of(documents)))
    _mark(folder).write_text(_attempt())


def decided(folder: Folder) -> ExitCode | None:
    """Return the outcome of a run that needs no further cluster; None for one that does."""
    state = RunRecord.read(folder).state
    if state == "succeeded":
        return ExitCode.DONE
    with suppress(OSError):
        if state == "failed" and _mark(folder).read_text() == _attempt():
            return ExitCode.FAILED
    return None


def _conducted(runs: Runs, name: str, documents: Path) -> ExitCode:
    if (code := decided(Folder(home() / "ray" / name))) is not None:
        return code
    begin(runs, name, documents)
    said = ""
    while True:
        with suppress(Unreachable):
            found = Status.from_data(runs.ask(name, "status"))
            if (line := f"{found.state}: {found.progress.steps:,} steps {found.reason}") != said:
                print(said := line, flush=True)
            if found.state in ("succeeded", "failed"):
                return ExitCode.DONE if found.state == "succeeded" else ExitCode.FAILED
        time.sleep(LOOK_SECONDS)


def _started(runs: Runs, name: str) -> Any:
    cluster = runs.cluster()
    options = placement.supervisor_options(name)
    return cluster.ray.remote(Supervisor).options(namespace=NAMESPACE, **options).remote(name)


def _of(documents: Path) -> tuple[dict[str, str], dict[str, Any], tuple[str, bytes] | None]:
    """Return what `Supervisor.create` takes, from the folder that is mounted."""
    plan = inside(Plan.from_json((documents / "plan.json").read_text()))
    texts = {"experiment": (documents / "experiment.yaml").read_text(), "plan": plan.to_json()}
    code = None
    if (documents / CODE).exists():
        data = (documents / CODE).read_bytes()
        code = (hashlib.sha256(data).hexdigest(), data)
    return texts, provenance(documents, code[0] if code else None, str(plan.env.get("id", ""))), code


def _mark(folder: Folder) -> Path:
    return folder.path / "attempt"


def _attempt() -> str:
    return os.environ.get(ATTEMPT_VARIABLE, "1")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
