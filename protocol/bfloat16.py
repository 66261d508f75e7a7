"""bfloat16, float32's upper half, in numpy: what a broadcast may travel as at half the size."""

import numpy as np

from surreal.protocol.limits import BFLOAT16


def narrow(array: np.ndarray) -> np.ndarray:
    """A float32 array rounded to bfloat16: to nearest, ties to even; NaN stays NaN, what is too large is infinite."""
    bits = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    upper = bits >> 16
    rounded = (bits + (upper & 1) + np.uint32(0x7FFF)) >> 16
    is_nan = np.isnan(bits.view(np.float32))
    rounded[is_nan] = upper[is_nan] | 0x40  # quiet: a payload in the lower half alone would leave an infinity
    return rounded.astype(np.uint16).view(BFLOAT16).reshape(array.shape)


def widen(array: np.ndarray) -> np.ndarray:
    """The float32 array of the same values, read-only."""
    bits = array.reshape(-1).view(np.uint16).astype(np.uint32)
    bits <<= 16
    wide = bits.view(np.float32).reshape(array.shape)
    wide.setflags(write=False)
    return wide
