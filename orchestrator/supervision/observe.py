"""The status of a run from its folder: the record of its supervisor and the newest figures."""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from surreal.orchestrator.run.channel_stats import read_channels
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.location import LOCAL
from surreal.orchestrator.run.status import (
    OUTCOMES,
    ProcessStatus,
    Status,
    duration,
    read_progress,
    running_reason,
    unsaved,
    with_goal,
)
from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord, read_provenance
from surreal.protocol.errors import InvalidInput
from surreal.protocol.telemetry.gauges import Progress

Written = tuple[int, int, int]
"""Time, inode and size of a file."""
ROOM = 256 * 1024
"""Bytes free without which a disk is called full: a checkpoint of the smallest networks has half of them."""


class Statuses:
    """Statuses of folders. One whose record says that the run is over is read once, until that record changes."""

    def __init__(self) -> None:
        self._over: dict[Path, tuple[tuple[Written | None, ...], Status]] = {}

    def of(self, folder: Folder) -> Status:
        """Return the status of one run."""
        written = tuple(map(_written, (folder.status, folder.spare_status)))
        if folder.path in self._over and self._over[folder.path][0] == written:
            return self._over[folder.path][1]
        status = status_of(folder)
        # that of a run whose supervisor died depends on more than its record
        if RunRecord.read(folder).state in OUTCOMES:
            self._over[folder.path] = written, status
        return status


def _written(path: Path) -> Written | None:
    """Return what tells one state of a file from the next; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def status_of(folder: Folder, backend: str = LOCAL, alive: Callable[[], bool] | None = None) -> Status:
    """Return the status of one run. A damaged file of it is named in the reason.

    `alive` says whether its supervisor lives; by default its lock does.
    """
    lives = alive or (lambda: os_process.is_held(folder))
    record = RunRecord.read(folder)
    if record.state not in OUTCOMES and not lives():
        # it may have ended between the two looks, so look again before calling it dead
        record = RunRecord.read(folder)
        if record.state not in OUTCOMES:
            record = _died(folder.name, record)
    now, over = time.time(), record.state in OUTCOMES
    progress = read_progress(folder)
    if not over:
        progress = progress.seen_at(now, _writer_started(record))
    created, damage = _created(folder)
    roles: dict[str, tuple[ProcessStatus, ...]] = {}
    for process in record.processes:
        of_process = ProcessStatus(
            process.index,
            process.state,
            process.restarts,
            process.pid,
            process.node or record.node or platform.node(),
            "" if over and record.state != "failed" else _reason(process, now),
        )
        roles[process.role] = (*roles.get(process.role, ()), of_process)
    reason = _over(folder, record, progress) if over else _running(folder, record, progress, now)
    plan = _plan(folder)
    status = Status(
        folder.name,
        backend,
        str(folder.path),
        record.state,
        "\n".join(filter(None, (reason, damage))),
        created,
        progress,
        roles,
        read_channels(folder.channels, over=over),
        plan["labels"],
    )
    return with_goal(status, plan["config"])


def _plan(folder: Folder) -> dict[str, Any]:
    """Return labels and config of the plan as plain data; empty where they cannot be read."""
    try:
        found = json.loads(folder.plan.read_bytes())
        return {key: dict(found.get(key) or {}) for key in ("labels", "config")}
    except (OSError, ValueError, TypeError, AttributeError):
        return {"labels": {}, "config": {}}


def _created(folder: Folder) -> tuple[str, str]:
    """Return when the run was created, and what is wrong with the file that says so."""
    if not folder.provenance.exists():
        return "", ""
    try:
        return str(read_provenance(folder).get("created", "")), ""
    except InvalidInput as error:
        return "", str(error)


def _writer_started(record: RunRecord) -> float | None:
    """Return when the process that writes the figures was started last; None where the record does not say it."""
    found = (process.started for process in record.processes if process.name == f"{record.ends_run}/0")
    return next(found, None)


def _reason(process: ProcessRecord, now: float) -> str:
    since = "" if process.since is None else f" for {duration(max(0.0, now - process.since))}"
    return f"{process.reason}{since}" if process.reason else ""


def _over(folder: Folder, record: RunRecord, progress: Progress) -> str:
    """Return why a run is over, and what a stop on a full disk has lost."""
    lost = unsaved(progress, folder.saved_step) if record.state == "stopped" else ""
    return "\n".join(filter(None, (record.reason, lost)))


def _full(folder: Folder) -> str:
    """Return what is left of a disk that has no room for a run; "" where there is some."""
    with suppress(OSError):
        left = shutil.disk_usage(folder.path).free
        return f"{left // 1024} kB are left on its disk" if left < ROOM else ""
    return ""


def _running(folder: Folder, record: RunRecord, progress: Progress, now: float) -> str:
    """Return why a running run fails or stands still, and whether its disk takes no files."""
    reasons = [(process.name, reason) for process in record.processes if (reason := _reason(process, now))]
    disk = record.disk or ("" if os.access(folder.path, os.W_OK) else "the file system is read-only")
    disk = disk or ("" if progress.trouble else _full(folder))
    words = f"{folder.path} cannot be written: {disk}" if disk else ""
    if words and not progress.trouble:
        # otherwise the learner says so, which meets the same disk with other files
        words += "; the run goes on with its results in memory only"
    return "\n".join(filter(None, (running_reason(progress, reasons), words)))


def _died(name: str, record: RunRecord) -> RunRecord:
    """Return the record of a run whose supervisor is gone without a word."""
    if not record.processes:
        return replace(record, state="failed", reason=f"its creation was interrupted; surreal delete {name}")
    reason = f"supervisor died; surreal resume {name} continues from the last checkpoint"
    processes = [
        process if os_process.is_alive(process.pid, process.born) else replace(process, state="failed", pid=None)
        for process in record.processes
    ]
    return replace(record, state="failed", reason=reason, processes=processes)
