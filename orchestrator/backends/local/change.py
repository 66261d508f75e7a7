"""Change of a run of this machine that does not run: other values in its experiment and its plan."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.run.home import Folder, write_files
from surreal.orchestrator.run.status import OUTCOMES
from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.record import RunRecord, read_plan, read_provenance
from surreal.protocol.errors import InvalidInput
from surreal.protocol.worker.guard.notification import COMMAND_S, URL_S

if TYPE_CHECKING:
    from surreal.provisioner.pools.model import NodePool

ENDED_SECONDS = 5.0 + COMMAND_S + URL_S
"""A supervisor whose run is over tells a person, and is gone after these seconds."""


def change(folder: Folder, changes: Sequence[str], pools: "Sequence[NodePool]", check_only: bool) -> Sequence[str]:
    """Write the changed experiment and its plan; a run that has succeeded counts as stopped then.

    Return the warnings that are new. Raises InvalidInput, with nothing changed, for wrong values and for a run that
    runs; `check_only` does no more than to look at the values.
    """
    from surreal.orchestrator.plan.change import changed, new_warnings

    plan, code = read_plan(folder), Path(str(read_provenance(folder)["code"]))
    text = folder.experiment.read_text()
    experiment, planned = changed(text, changes, folder.code if plan.code else code, plan, pools)
    if check_only:
        return new_warnings(plan, planned)
    held = acquire_ended(folder)
    if held is None:
        raise InvalidInput(f"{folder.name}: is running. Stop it first: surreal stop {folder.name}")
    try:
        write_files({folder.experiment: experiment.to_yaml(), folder.plan: planned.to_json()})
        record = RunRecord.read(folder)
        if record.state == "succeeded":
            replace(record, state="stopped", reason="", number=record.number + 1).write(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        os.close(held)
    return new_warnings(plan, planned)


def acquire_ended(folder: Folder) -> int | None:
    """Return the lock of a run without a supervisor; None where it runs. One that has just ended is waited for."""
    over = RunRecord.read(folder).state in OUTCOMES
    return os_process.acquire(folder, timeout=ENDED_SECONDS if over else 0.0)


def cannot_write(folder: Folder, error: OSError) -> InvalidInput:
    """Return the message for a disk that does not take the files of a run."""
    place, why = error.filename or folder.path, error.strerror or error
    return InvalidInput(f"{place}: {why}. Nothing was started: make room there, or set SURREAL_HOME to another disk.")
