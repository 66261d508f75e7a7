"""Parts of code in LLVM's language that loops of this project have in common: vectors of LANES numbers.

numba keeps a compiled loop until the file of the loop changes, so such files have VECTORS_DIGEST, which is of this one.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils

from surreal.algorithms.models.byhand.convolution import LANES

INTEGER = ir.IntType(64)
VECTOR = ir.VectorType(ir.FloatType(), LANES)
NOTHING = ir.Constant(VECTOR, ir.Undefined)
FIRST = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)


def multiply_add(builder: Any) -> Any:
    """Return LLVM's function of three vectors: the product of two, and the third added."""
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fmuladd.v{LANES}f32"
    )


def spread(builder: Any, number: Any) -> Any:
    """Return a vector of nothing but `number`."""
    first = builder.insert_element(NOTHING, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, NOTHING, FIRST)
