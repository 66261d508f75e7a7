"""Address of the matrix product in numpy's own BLAS, for compiled code: numba calls none without scipy.

numpy's wheels carry OpenBLAS with 64-bit integers. Where numpy was built with another library there is no address, and
numpy itself computes the products.
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np

NAMES = ("scipy_cblas_sgemm64_", "cblas_sgemm64_")
"""C functions of float32 products, as numpy's wheels name them."""


def sgemm_address() -> int:
    """Return where cblas_sgemm with 64-bit integers is in this process; 0 where it is not known."""
    for library in _libraries():
        for name in NAMES:
            try:
                function = getattr(ctypes.CDLL(str(library)), name)
            except (OSError, AttributeError):
                continue
            return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


def _libraries() -> Iterator[Path]:
    """Yield the libraries that came with numpy, which has loaded them."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        yield from sorted(folder.glob("*openblas*"))
