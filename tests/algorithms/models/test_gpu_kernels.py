"""Kernels of a GPU as torch.profiler exports them, in a profile."""

from surreal.algorithms.models.gpu_kernels import kernel_marks
from surreal.protocol.profiling.spans import GPU, Recorder


def test_kernels_and_copies_become_spans_on_the_clock_of_the_process() -> None:
    trace = {
        "baseTimeNanoseconds": 1_790_857_026_000_000_000,
        "traceEvents": [
            {"ph": "X", "cat": "kernel", "name": "gemm<float>(int)", "ts": 5.5, "dur": 2.25},
            {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 1.0, "dur": 9.0},
            {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy HtoD", "ts": 9.0, "dur": 1.0},
            {"ph": "M", "name": "process_name"},
        ],
    }
    recorder = Recorder()
    gemm, copy = kernel_marks(trace, 100 - 1_790_857_026_000_000_000, recorder)
    assert [recorder.names()[mark.key] for mark in (gemm, copy)] == [("gemm", GPU), ("Memcpy HtoD", GPU)]
    assert (gemm.start, gemm.duration, copy.start) == (5600, 2250, 9100)
    assert kernel_marks({}, 0, recorder) == []
