"""Compilation of loops by numba, which keeps them on disk for the next process.

numba looks for changes in the file of the loop that Python calls, and in no other. So a loop calls those of its
own file only.
"""

from collections.abc import Callable, Collection
from typing import Any

from numba import njit

Loop = Callable[..., Any]


def kept(loop: Loop, fast: Collection[str] = ("contract",)) -> Loop:
    """Return `loop`, compiled when it is first called; without the GIL, and without numba's check for divisions by 0.

    `fast` is what LLVM may do to sums: `contract` rounds a product and a sum once, `reassoc` adds in any order.
    Where no folder can be written, each process compiles anew.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fast)}
    try:
        return njit(cache=True, **options)(loop)  # type: ignore[no-any-return]
    except RuntimeError:  # numba found no folder to keep it in
        return njit(**options)(loop)  # type: ignore[no-any-return]


def exact(loop: Loop) -> Loop:
    """Return `loop`, compiled so that it rounds each operation as numpy does."""
    return kept(loop, ())
