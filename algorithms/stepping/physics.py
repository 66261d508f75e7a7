"""MuJoCo's own functions, called for every copy from one compiled loop.

The loop is compiled by numba when a process first steps, and kept on disk. It gets addresses as numbers: numba keeps
nothing on disk that holds a pointer of one process.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numba import carray, njit, types
from numba.extending import intrinsic

from surreal.algorithms.types import Array, Int


@intrinsic  # type: ignore[untyped-decorator]
def _numbers_at(typing_context: Any, address: Any) -> Any:
    """Return the float64 array that begins at an address, as a pointer."""
    pointer = types.CPointer(types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _call(typing_context: Any, function: Any, model: Any, data: Any) -> Any:
    """Call `void function(const mjModel*, mjData*)` by its address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from llvmlite import ir

        number = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [number, number]).as_pointer()
        builder.call(builder.inttoptr(arguments[0], kind), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _gather(addresses: Int, sizes: Int, rows: Int, out: Array) -> None:
    """Copy the fields of the chosen copies, one after another, into their rows of `out`."""
    for row in rows:
        column = 0
        for field in range(sizes.size):
            values = carray(_numbers_at(addresses[row, field]), (sizes[field],))
            for index in range(sizes[field]):
                out[row, column + index] = values[index]
            column += sizes[field]


def _advance(functions: Int, models: Int, datas: Int, controls: Int, actions: Array, frames: int, rows: Int) -> None:
    """Set the controls of the chosen copies, step each `frames` times, compute its contact forces."""
    for row in rows:
        control = carray(_numbers_at(controls[row]), (actions.shape[1],))
        for index in range(actions.shape[1]):
            control[index] = actions[row, index]
        for _ in range(frames):
            _call(functions[0], models[row], datas[row])
        _call(functions[1], models[row], datas[row])


@cache
def _compiled() -> tuple[Any, Any]:
    """Return the two loops for the calling process. Where no folder can be written they are compiled each time."""
    global _gather, _advance
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(_gather), njit(cache=True, **options)(_advance)
    except RuntimeError:  # numba found no folder to keep them in
        return njit(**options)(_gather), njit(**options)(_advance)


@cache
def _functions() -> Int:
    """Return the addresses of mj_step and mj_rnePostConstraint in the library that the package has loaded."""
    folder = Path(mujoco.__file__).parent
    found = sorted(folder.glob("libmujoco*.so*")) + sorted(folder.glob("libmujoco*.dylib")) + sorted(folder.glob("mujoco.dll"))
    library = ctypes.CDLL(str(found[0]))
    names = (library.mj_step, library.mj_rnePostConstraint)
    return np.array([ctypes.cast(each, ctypes.c_void_p).value for each in names], dtype=np.int64)


class Physics:
    """The simulations of all copies, which stay those of their gymnasium environments."""

    def __init__(self, models: Sequence[Any], datas: Sequence[Any], frames: int) -> None:
        self._kept = [*models, *datas]  # addresses do not keep them alive
        self._models = np.array([each._address for each in models], dtype=np.int64)
        self._datas = np.array([each._address for each in datas], dtype=np.int64)
        self._controls = np.array([each.ctrl.ctypes.data for each in datas], dtype=np.int64)
        self._frames = frames
        self._gather, self._advance = _compiled()
        self._functions = _functions()

    def advance(self, actions: Array, rows: Int) -> None:
        """Step the copies `rows` by their rows of `actions` [copies, controls]."""
        self._advance(self._functions, self._models, self._datas, self._controls, actions, self._frames, rows)

    def gather(self, fields: "Fields", rows: Int) -> None:
        """Refresh the rows of `fields.values`."""
        self._gather(fields.addresses, fields.sizes, rows, fields.values)


class Fields:
    """Arrays of every copy's data side by side: `values` [copies, columns], and a view of it for each array."""

    def __init__(self, arrays: Sequence[Sequence[Array]]) -> None:
        """`arrays[copy][field]` are C-contiguous float64 views of a simulation's memory."""
        for each in (array for copy in arrays for array in copy):
            assert each.dtype == np.float64 and each.flags.c_contiguous
        self.addresses = np.array([[each.ctypes.data for each in copy] for copy in arrays], dtype=np.int64)
        self.sizes = np.array([each.size for each in arrays[0]], dtype=np.int64)
        self.values = np.zeros((len(arrays), int(self.sizes.sum())))
        ends = np.cumsum(self.sizes)
        self.views = [self.values[:, end - size : end] for end, size in zip(ends, self.sizes, strict=True)]
