"""Kernels of a GPU in a profile: torch.profiler records them, and they become spans beside those of the process.

It is used where torch has a GPU. Its own clock is Unix time in two parts, so both clocks are read together.
"""

import json
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread
from time import perf_counter_ns, time_ns
from typing import Any

from surreal.protocol.profiling.own import COLLECTORS
from surreal.protocol.profiling.spans import GPU, MAX_NAME, SPAN, Mark, Recorder

FIRST_SECONDS = 5.0
"""Beginning of a profile in which kernels are recorded: a learner launches ten thousand a second."""
MOST_KERNELS = 20_000
"""Kernels of one profile; the longest are kept."""


class Kernels:
    """The kernels of the first seconds of one profile.

    A thread of its own records them: only the thread that started a profiler of torch can stop it.
    """

    def __init__(self) -> None:
        self._over = Event()
        self._trace: dict[str, Any] = {}
        self._shift = 0
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Begin to record, and end by itself after some seconds."""
        self._trace = {}
        self._over.clear()
        self._shift = perf_counter_ns() - time_ns()
        self._thread = Thread(target=self._record, name="kernels", daemon=True)
        self._thread.start()

    def end(self, recorder: Recorder) -> None:
        """Give the recorder the kernels as spans of a thread that no other has."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        for mark in kernel_marks(self._trace, self._shift, recorder):
            recorder.add(mark)

    def _record(self) -> None:
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            self._over.wait(FIRST_SECONDS)
        with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
            path = Path(folder, "kernels.json")
            profiler.export_chrome_trace(str(path))
            self._trace = json.loads(path.read_text())


def kernel_marks(trace: dict[str, Any], shift: int, recorder: Recorder) -> list[Mark]:
    """Return the kernels and copies of a trace of torch.profiler as spans of `recorder`.

    `shift` is what Unix nanoseconds lack to this process's monotonic clock. `ts` counts microseconds from
    `baseTimeNanoseconds`, which is Unix time.
    """
    base = int(trace.get("baseTimeNanoseconds", 0))
    events = [
        each for each in trace.get("traceEvents", ()) if each.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
    ]
    events.sort(key=lambda each: -float(each["dur"]))
    marks = []
    for each in events[:MOST_KERNELS]:
        start = base + round(float(each["ts"]) * 1000) + shift
        key = recorder.key(str(each["name"]).partition("<")[0][:MAX_NAME], GPU)
        marks.append(Mark(key, 0, 0, start, round(float(each["dur"]) * 1000), 0, SPAN))
    return marks


def record_kernels() -> None:
    """Have the profiles of this process include the kernels of its GPU, if it uses torch and has one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        kernels = Kernels()
        COLLECTORS.append((kernels.begin, kernels.end))
