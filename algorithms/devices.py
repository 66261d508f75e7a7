"""Is there a GPU? Asked without importing torch, which costs seconds and 200 MB where the answer is no."""

import shutil
from pathlib import Path


def gpu_present() -> bool:
    """True where an NVIDIA driver is loaded; torch then has the last word."""
    if not (Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")):
        return False
    import torch

    return torch.cuda.is_available()
