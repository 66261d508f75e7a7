"""The run as its files and ports show it, from the process that serves control.

It writes `channels.json` in the run folder every 2 s: counters of channels, and the processes that stand still.
It serves /metrics for Prometheus if the experiment asks for it.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.protocol.telemetry.counters import CounterTable
from surreal.protocol.telemetry.gauges import Gauges
from surreal.protocol.wiring import Wiring

if TYPE_CHECKING:
    from surreal.protocol.telemetry.prometheus import Exporter


log = logging.getLogger("surreal")

WRITE_INTERVAL_S = 2.0
"""Seconds between two versions of the file."""
FILE = "channels.json"


class Reporter:
    """Takes in this process's own counters and writes those of all, in a thread of its own: a slow disk holds up
    neither the channels nor the work."""

    def __init__(
        self,
        wiring: Wiring,
        table: CounterTable,
        gauges: Gauges,
        count: Callable[[], None],
        alive: Callable[[str], set[int]],
        still: Callable[[], Mapping[str, tuple[float, str]]] = dict,
        each: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin. `count()` brings this process's own counters into `table`.

        `still()` returns process -> the seconds for which it has not moved, and where it is. `each()` is called with
        each version: other work with the disk.
        """
        self._path, self._table, self._count = Path(wiring.run_folder) / FILE, table, count
        self._still, self._each = still, each
        self._exporter = _export(wiring, table, gauges, alive) if wiring.prometheus else None
        self._closing = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="surreal-observer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write once more, and end."""
        self._closing.set()
        self._thread.join()
        if self._exporter:
            self._exporter.close()

    def _run(self) -> None:
        while not self._closing.wait(WRITE_INTERVAL_S):
            self._write()
            self._each()
        self._write()
        self._each()

    def _write(self) -> None:
        """Replace the file, so that a reader sees the old or the new one. A full disk costs the newest counters, not
        the run."""
        self._count()
        temporary = self._path.with_name(f".{FILE}")
        try:
            said = {"time": time.time(), "still": self._still(), "channels": self._table.rows()}
            temporary.write_text(json.dumps(said))
            os.replace(temporary, self._path)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("cannot write %s, which surreal status reads: %s", self._path, error)
            self._failed = True


def _export(wiring: Wiring, table: CounterTable, gauges: Gauges, alive: Callable[[str], set[int]]) -> "Exporter | None":
    """Serve /metrics; a port that is taken costs the figures, not the run."""
    from surreal.protocol.telemetry.prometheus import Exporter, RunCollector

    try:
        exporter = Exporter(wiring.prometheus, RunCollector(wiring, table, gauges, alive))
    except OSError as error:
        words = "the run goes on without /metrics; spec.prometheus.port chooses another port"
        log.warning("cannot serve Prometheus at %s (%s): %s", wiring.prometheus, error.strerror or error, words)
        return None
    log.info("Prometheus finds the run at http://%s/metrics", wiring.prometheus)
    return exporter
