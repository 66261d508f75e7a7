"""What all tests share."""

import gc
import os
import signal
import threading
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Deadlines of hypothesis test the machine, and fail where it is busy.
settings.register_profile("surreal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("surreal")

# xdist sets it for its processes, and a table is as wide as it says
os.environ.pop("COLUMNS", None)

# As many processes compute at once as there are tests at work: threads of one matrix product would only wait in turn.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# `nohup make test &` has SIGINT ignored, which children inherit: those that are sent Ctrl-C would not hear it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Collection makes millions of objects that live to the end: no need to look through them again and again.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave what collection has made out of all later garbage collections, which take half of some tests' time."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Lone surrogates, which tests of hostile peers log, cannot travel from the processes that xdist starts."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
