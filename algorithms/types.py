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
