"""Choice of the loops of a run: numpy's, or those that numba compiles; and the way of compiled code to BLAS.

numba calls no BLAS without scipy, so it gets the address of the product in numpy's own. numpy's wheels carry OpenBLAS
with 64-bit integers. Where numpy was built with another library there is no address, and numpy computes the products.
"""

import ctypes
from collections.abc import Iterator
from functools import partial
from logging import getLogger
from pathlib import Path

import numpy as np

from surreal.algorithms.devices import told
from surreal.algorithms.offpolicy.loops import NUMPY, LaneLoops, Loops, Passes

log = getLogger(__name__)
COMPILE_UPDATES = 2_000
"""Updates of a run from which numba compiles: it spares each 1 to 2 ms and costs a second, 3 the first time."""
LANES_UPDATES = 50_000
"""Updates of a run from which it compiles a lane's work as a whole: 12 seconds, the first time on a machine."""
NAMES = ("scipy_cblas_sgemm64_", "cblas_sgemm64_")
"""C functions of float32 products, as numpy's wheels name them."""


def loops_for(updates: float, lanes: bool = False) -> Loops:
    """Return the loops that are the quicker ones for a run of so many updates; `lanes`: of an engine that has such."""
    return compiled(lanes and updates >= LANES_UPDATES) if updates >= COMPILE_UPDATES else NUMPY


def compiled(lanes: bool = False) -> Loops:
    """Return the loops compiled by numba, or by numpy, with a line in the log, where numba fails."""
    try:
        with told("the updates"):
            return _compiled(lanes)
    except Exception as error:  # numba raises its own for each of its troubles, and ImportError for a new numpy
        log.warning("numba does not compile here, so numpy computes all of it: %s", str(error).split("\n")[0])
        return NUMPY


def _compiled(lanes: bool) -> Loops:
    """Return the loops compiled by numba. Raises what numba raises."""
    from surreal.algorithms.offpolicy import compiled_loops as found

    found.compile_all()
    sgemm, passes, whole = sgemm_address(), None, None
    if sgemm and found.compile_passes(sgemm):
        passes = Passes(partial(found.forward, sgemm), partial(found.backward, sgemm))
        whole = _lanes(sgemm) if lanes else None
    loops = (found.biased_relu, found.through_relu, found.spread_through_relu, found.adam, found.follow)
    return Loops(*loops, passes, whole)


def _lanes(sgemm: int) -> LaneLoops:
    from surreal.algorithms.offpolicy.updates import compiled_lanes as found

    found.compile_all(sgemm)
    return LaneLoops(*(partial(getattr(found, name), sgemm) for name in LaneLoops._fields))


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
