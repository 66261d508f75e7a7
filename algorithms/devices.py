"""Devices that a learner computes on, and the compiler of loops for its CPU."""

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from logging import getLogger
from math import inf
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from surreal.protocol.errors import Fatal
from surreal.protocol.transport.stats import ACTIVITY, ONCE

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
"""Value of the key `device` of a config: auto takes a GPU where there is one."""
Loop = Callable[..., Any]
log = getLogger(__name__)
NO_GPU = "'cuda' needs a GPU, and torch sees none here. Use device: auto."
"""Sentence on the key `device` of a config."""
DRIVER = Path("/proc/driver/nvidia/version")
CONTROL = Path("/dev/nvidiactl")
"""Device file of the driver, all that a sandbox such as gVisor shows of it."""
SMALL = 256
"""Widest layer of the networks that `device: auto` leaves on the CPU, where a gradient of them by hand is faster."""


@cache
def gpu_present() -> bool:
    """Return True where torch sees a GPU; say so where one is here that torch cannot use.

    torch is imported only where an NVIDIA driver is loaded: its import costs seconds and 200 MB.
    """
    if not (DRIVER.exists() or CONTROL.exists() or shutil.which("nvidia-smi")):
        return False
    import torch

    if torch.cuda.is_available():
        return True
    if DRIVER.exists():
        text = "a GPU is here, but torch %s cannot use it: computing on the CPU. Use an image with CUDA."
        log.warning(text, torch.__version__)
    return False


def wants_gpu(device: Device, widest: float = inf) -> bool:
    """Return True if a learner with this setting computes on a GPU of this machine.

    `widest` is the widest layer of a network that has a gradient by hand.
    """
    return device == "cuda" or (device == "auto" and widest > SMALL and gpu_present())


def pick_device(device: Device, index: int = 0) -> "torch.device":
    """Return torch's device for this setting: of several GPUs the one for replica `index`.

    Raises Fatal for `cuda` on a machine without a GPU.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise Fatal(f"spec.algorithm.config.device: {NO_GPU}")
    if device == "auto":
        gpu_present()
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    found = torch.device("cuda", index % torch.cuda.device_count())
    log.info("computing on %s, %s", found, torch.cuda.get_device_name(found))
    return found


def device_name() -> str:
    """Return torch's version and the device that `auto` takes, for `surreal doctor`."""
    import torch

    return f"{torch.__version__} on {torch.cuda.get_device_name() if torch.cuda.is_available() else 'the CPU'}"


def kept(loop: Loop, fast: Collection[str] = ("contract",)) -> Loop:
    """Return `loop`, compiled when it is first called; without the GIL, and without numba's check for divisions by 0.

    `fast` is what LLVM may do to sums: `contract` rounds a product and a sum once, `reassoc` adds in any order.
    Where no folder can be written, each process compiles anew. numba looks for changes in the file of the loop that
    Python calls, and in no other: so a loop calls those of its own file only.
    """
    from numba import njit

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fast)}
    try:
        return njit(cache=True, **options)(loop)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no folder to keep it in
        return njit(**options)(loop)  # type: ignore[no-any-return]


def exact(loop: Loop) -> Loop:
    """Return `loop`, compiled so that it rounds each operation as numpy does."""
    return kept(loop, ())


class _Compilation:
    """Tells of loops that are compiled together, from the first one on."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began: float | None = None

    def begin(self) -> None:
        """Say it, unless another loop began before."""
        if self._began is None:
            self._began = perf_counter()
            ACTIVITY.doing = f"compiles {self._what} {ONCE}"
            log.info("compiling %s for this machine, once: it takes some seconds of a free core", self._what)

    def end(self, whole: bool) -> None:
        """Say no more; how long it took if it came to its end."""
        if self._began is not None:
            ACTIVITY.doing, seconds = "", perf_counter() - self._began
            if whole:
                log.info("compiled %s in %.0f s, kept on disk for other runs", self._what, seconds)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Tell in log and status that numba compiles `what`, from the first loop that no cache holds to the block's end.

    What is loaded from the disk is not told.
    """
    from numba.core import event

    compilation, whole = _Compilation(what), False

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, _: object) -> None:
            compilation.begin()

        def on_end(self, _: object) -> None:
            pass

    try:
        with event.install_listener("numba:compile", Listener()):
            yield
        whole = True
    finally:
        compilation.end(whole)
