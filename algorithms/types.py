"""Array types of this layer, so that a signature says the dtype."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Array = np.ndarray[Any, Any]
"""An array whose dtype the docstring names, or that may have any."""
LARGE = 2.0**20
"""Beyond this float32 has steps of an eighth and more, too coarse for clocks and counters."""


def narrowed(values: Array) -> Array:
    """Return `values` as float32; as float64 where one of them is too large for that."""
    return values.astype(np.float64 if np.abs(values).max(initial=0.0) > LARGE else np.float32, copy=False)
