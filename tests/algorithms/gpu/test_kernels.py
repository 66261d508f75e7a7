"""Kernels of a GPU in a profile, recorded by a thread of their own."""

from time import monotonic, sleep
from typing import Any

import pytest
import torch

from surreal.algorithms.models import gpu_kernels
from surreal.algorithms.models.gpu_kernels import Kernels
from surreal.protocol.profiling.spans import GPU, Recorder
from tests.algorithms.gpu.device import DEVICE, NEEDS_GPU

pytestmark = NEEDS_GPU


def work(seconds: float) -> None:
    """Keep the device busy."""
    rows, end = torch.ones(256, 256, device=DEVICE), monotonic() + seconds
    while monotonic() < end:
        float((rows @ rows).sum())
        sleep(0.001)


def records_kernels() -> bool:
    """True where torch's own profiler sees kernels, which not every sandbox lets it."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        work(0.2)
    return len(profiler.events() or ()) > 0


@pytest.mark.filterwarnings("ignore")
def test_kernels_are_spans_whether_the_profile_or_its_first_seconds_end_first(monkeypatch: Any) -> None:
    if DEVICE == "cpu" or not records_kernels():
        pytest.skip("torch.profiler records no kernels here")
    for seconds in (60.0, 1.0):
        monkeypatch.setattr(gpu_kernels, "FIRST_SECONDS", seconds)
        kernels, recorder = Kernels(), Recorder()
        kernels.begin()
        work(3.0)
        kernels.end(recorder)
        assert any(kind == GPU for _, kind in recorder.names())
