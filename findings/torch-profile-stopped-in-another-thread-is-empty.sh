#!/usr/bin/env bash
# torch 2.13.0: a profile that another thread stops than the one that began it holds nothing, and no exception says so.
#
# Expected: torch.profiler.profile(...).start() in one thread and .stop() in another end the recording, as a timer or a
#           server's thread would do after some seconds; or an exception where that is not allowed.
# Seen:     stop() returns and events() is empty, where the same work stopped by the first thread gives 220 events. All
#           that is said is a line of C++ on standard error, of no active profiling session.
# Cause:    a session belongs to the thread that began it (profiler_kineto.cpp keeps it in that thread's state).
# Matters:  learners profile for a few seconds on request, from a thread that is not the training loop. The report then
#           shows a process that computed nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
from threading import Thread

import torch
from torch.profiler import ProfilerActivity, profile

torch.set_num_threads(1)


def recorded(stopper):
    """Events of twenty products, in a profile that `stopper` runs the end of."""
    profiler = profile(activities=[ProfilerActivity.CPU])
    profiler.start()
    for _ in range(20):
        torch.ones(64, 64) @ torch.ones(64, 64)
    failed = []

    def stop():
        try:
            profiler.stop()
        except Exception as error:
            failed.append(error)

    stopper(stop)
    return len(profiler.events()), failed


def elsewhere(stop):
    thread = Thread(target=stop)
    thread.start()
    thread.join()


own, other = recorded(lambda stop: stop()), recorded(elsewhere)
print(f"torch {torch.__version__}: {own[0]} events stopped by the same thread, {other[0]} by another, exceptions {other[1]}")
assert own[0] >= 100 and not own[1]
assert other == (0, []), "torch has changed"
PY
