"""The start and the end of the process that tracks a run, from the process that writes its rows."""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import Any

from surreal.protocol.wiring import Wiring

log = getLogger(__name__)
END_SECONDS = 30.0
"""Longest wait at the end of a run for the last rows to be sent."""


class Tracking:
    """The process `surreal.algorithms.tracking` of a run; nothing where the experiment asks for none."""

    def __init__(self, wiring: Wiring) -> None:
        """Start it, if the run has `spec.track`."""
        self._process = _started(wiring) if wiring.track else None

    def close(self, outcome: str) -> None:
        """Say how the run ended, and wait a while for the last rows to be sent."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(outcome + "\n")
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("spec.track: still sending after %.0f s; what is missing is in metrics.jsonl", END_SECONDS)


def _started(wiring: Wiring) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "surreal.algorithms.tracking"], stdin=subprocess.PIPE, text=True
    )
    about: Mapping[str, Any] = {
        "folder": str(Path(wiring.run_folder).absolute()),
        "name": wiring.experiment,
        "track": wiring.track,
        "config": {"env": wiring.env.get("id"), "seed": wiring.seed, **wiring.config},
    }
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.write(json.dumps(about) + "\n")
        process.stdin.flush()
    return process
