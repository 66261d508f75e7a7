"""Trace in the format of Chrome and Perfetto: one process of it for each of the run, on one clock, of bounded size."""

import heapq
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from surreal.orchestrator.profiling.timelines import Interval, Timeline

MOST_EVENTS = 400_000
"""Spans of a trace, about 60 MB; the shortest beyond are left out, and their number is said. Perfetto opens that."""


def write_trace(timelines: Sequence[Timeline], path: Path, most: int = MOST_EVENTS) -> int:
    """Write a trace; return the number of spans that were left out. Open it at ui.perfetto.dev or chrome://tracing."""
    spans = [(each.end - each.start, pid, each) for pid, of in enumerate(timelines, 1) for each in of.intervals]
    kept = heapq.nlargest(most, spans, key=lambda entry: entry[0]) if len(spans) > most else spans
    begin = min((timeline.begin for timeline in timelines), default=0)
    left_out = len(spans) - len(kept)
    with path.open("w") as file:
        head = {"spans_left_out": left_out, "clock": "nanoseconds / 1000 since the profile began, one clock for all"}
        file.write('{"displayTimeUnit": "ms", "otherData": ' + json.dumps(head) + ', "traceEvents": [\n')
        first = True
        for event in (*_names(timelines), *(_event(pid, each, begin) for _, pid, each in kept)):
            file.write(("" if first else ",\n") + json.dumps(event))
            first = False
        file.write("\n]}\n")
    return left_out


def _names(timelines: Sequence[Timeline]) -> Iterator[dict[str, Any]]:
    for pid, each in enumerate(timelines, 1):
        yield {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": each.process}}
        yield {"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": {"sort_index": pid}}
        for lane, name in enumerate(("work", "other threads")):
            yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": lane + 1, "args": {"name": name}}


def _event(pid: int, each: Interval, begin: int) -> dict[str, Any]:
    event: dict[str, Any] = {
        "ph": "X",
        "name": each.name,
        "cat": each.resource,
        "pid": pid,
        "tid": each.lane + 1,
        "ts": (each.start - begin) / 1000,
        "dur": (each.end - each.start) / 1000,
    }
    if each.pieces:
        # Perfetto shows arguments beside a span: its pieces have no place of their own in time.
        event["args"] = {
            piece.name: f"{piece.nanoseconds / 1e6:.3f} ms in {piece.times:,} pieces" for piece in each.pieces
        }
    return event
