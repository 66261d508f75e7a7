"""Files of a run that exists, as the version of surreal that made the run wrote them."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from surreal.orchestrator.backends.local.log_pump import LogWriter
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder, read_json, write_json
from surreal.orchestrator.run.provenance import changed_versions, now, versions
from surreal.protocol.errors import InvalidInput


def read_plan(folder: Folder) -> Plan:
    """Return the plan of a run. Raises InvalidInput, which names the file, for a foreign or damaged one."""
    try:
        return Plan.from_json(folder.plan.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{folder.plan}: {_said(error)}. Remove the run: surreal delete {folder.name}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise InvalidInput(
            f"{folder.plan}: {f'{key}: ' if key else ''}{problem['msg']}. It is damaged, "
            f"or of another version of surreal: use that version, or surreal delete {folder.name}"
        ) from None


def read_provenance(folder: Folder) -> dict[str, Any]:
    """Return what the run was started with. Raises InvalidInput, which names the file, for a damaged one."""
    try:
        data = read_json(folder.provenance)
        if isinstance(data, dict) and isinstance(data.get("code"), str):
            return data
        problem = "is no record of a run"
    except (OSError, ValueError) as error:
        problem = _said(error)
    raise InvalidInput(f"{folder.provenance}: {problem}. Remove the run: surreal delete {folder.name}")


def code_folder(folder: Folder, plan: Plan) -> str:
    """Return the folder of the experimenter's own modules. Raises InvalidInput where no file says it."""
    return str(folder.code) if plan.code else str(read_provenance(folder)["code"])


def note_versions(folder: Folder, plan: Plan, accept_changes: bool) -> None:
    """Say in the log of the supervisor which versions a resumed run goes on with, if those are other ones.

    Raises InvalidInput where the run promised equal numbers, unless the person accepts the change.
    """
    environment = str(plan.env.get("id", ""))
    recorded = read_provenance(folder)
    changes = changed_versions(recorded, environment)
    if not changes:
        return
    if (promise := _promise(plan)) and not accept_changes:
        raise InvalidInput(
            f"{folder.name}: {', '.join(changes)} since it was created, and {promise} promises equal numbers. "
            f"Install the versions it had, or go on with others: surreal resume {folder.name} --accept-changes"
        )
    resumed = [*recorded.get("resumed", []), {"at": now(), "versions": versions(environment)}]
    write_json(folder.provenance, {**recorded, "resumed": resumed})
    log = LogWriter(folder.supervisor_segment)
    log.write(f"{datetime.now():%H:%M:%S.%f}"[:-3].encode() + f" WARNING resumed with {', '.join(changes)}\n".encode())
    log.close()


def _promise(plan: Plan) -> str:
    """Return the setting by which a run promises the same numbers each time; empty if it does not."""
    if "deterministic" in plan.config:
        return "deterministic: true" if plan.config["deterministic"] else ""
    return "max_staleness: 0" if plan.config.get("max_staleness") == 0 else ""


def _said(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else f"damaged ({error})"
