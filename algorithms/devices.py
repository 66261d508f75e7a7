"""Choice of the device that a learner computes on."""

import shutil
from functools import cache
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from surreal.protocol.errors import Fatal

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
"""Value of the key `device` of a config: auto takes a GPU where there is one."""
log = getLogger(__name__)
DRIVER = Path("/proc/driver/nvidia/version")


@cache
def gpu_present() -> bool:
    """Return True where torch sees a GPU; say so where one is here that torch cannot use.

    torch is imported only where an NVIDIA driver is loaded: its import costs seconds and 200 MB.
    """
    if not (DRIVER.exists() or shutil.which("nvidia-smi")):
        return False
    import torch

    if torch.cuda.is_available():
        return True
    if DRIVER.exists():
        text = "a GPU is here, but torch %s cannot use it: computing on the CPU. Use an image with CUDA."
        log.warning(text, torch.__version__)
    return False


def wants_gpu(device: Device) -> bool:
    """Return True if a learner with this setting computes on a GPU of this machine."""
    return device == "cuda" or (device == "auto" and gpu_present())


def pick_device(device: Device, index: int = 0) -> "torch.device":
    """Return torch's device for this setting: of several GPUs the one for replica `index`.

    Raises Fatal for `cuda` on a machine without a GPU.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise Fatal("spec.algorithm.config.device: 'cuda' needs a GPU, and torch sees none here. Use device: auto.")
    if device == "auto":
        gpu_present()
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", index % torch.cuda.device_count())


def device_name() -> str:
    """Return torch's version and the device that `auto` takes, for `surreal doctor`."""
    import torch

    return f"{torch.__version__} on {torch.cuda.get_device_name() if torch.cuda.is_available() else 'the CPU'}"
