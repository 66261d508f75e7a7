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
        from llvmlite import ir  # type: ignore[import-untyped]

        number = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [number, number]).as_pointer()
        builder.call(builder.inttoptr(arguments[0], kind), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _copy(addresses: Int, sizes: Int, first: int, last: int, out: Array, column: int) -> int:
    """Copy the fields from `first` to before `last`, one after another, into `out`; return the column behind them."""
    for field in range(first, last):
        values = carray(_numbers_at(addresses[field]), (sizes[field],))
        for index in range(sizes[field]):
            out[column + index] = values[index]
        column += sizes[field]
    return column


def _step(
    functions: Int,
    handles: Int,
    addresses: Int,
    sizes: Int,
    before: int,
    values: Array,
    actions: Array,
    frames: int,
    rows: Int,
) -> None:
    """Read the first fields of the chosen copies, set their controls, step each `frames` times, read the rest.

    `handles` [copies, 3] holds the addresses of model, data and controls; `functions` those of mj_step and of what is
    called after a step, 0 for nothing.
    """
    for row in rows:
        model, data, at = handles[row, 0], handles[row, 1], handles[row, 2]
        column = _copy(addresses[row], sizes, 0, before, values[row], 0)
        control = carray(_numbers_at(at), (actions.shape[1],))
        for index in range(actions.shape[1]):
            control[index] = actions[row, index]
        for _ in range(frames):
            _call(functions[0], model, data)
        if functions[1]:
            _call(functions[1], model, data)
        _copy(addresses[row], sizes, before, sizes.size, values[row], column)


@cache
def _compiled() -> Any:
    """Return the loop, compiled for this process. Where no folder can be written it is compiled each time."""
    global _copy
    try:
        _copy = njit(cache=True)(_copy)
        return njit(cache=True, nogil=True)(_step)
    except RuntimeError:  # numba found no folder to keep it in
        _copy = njit(_copy)
        return njit(nogil=True)(_step)


@cache
def _functions() -> Int:
    """Return the addresses of mj_step and mj_rnePostConstraint in the library that the package has loaded."""
    folder = Path(mujoco.__file__).parent
    found = (
        sorted(folder.glob("libmujoco*.so*"))
        + sorted(folder.glob("libmujoco*.dylib"))
        + sorted(folder.glob("mujoco.dll"))
    )
    library = ctypes.CDLL(str(found[0]))
    names = (library.mj_step, library.mj_rnePostConstraint)
    return np.array([ctypes.cast(each, ctypes.c_void_p).value for each in names], dtype=np.int64)


class Physics:
    """The simulations of all copies, which stay those of their gymnasium environments, and what is read of them.

    `before` and `after` hold a view [copies, size] for each field read before and after a step.
    """

    def __init__(
        self, envs: Sequence[Any], before: Sequence[Sequence[Array]], after: Sequence[Sequence[Array]], forces: bool
    ) -> None:
        """Step `envs`, which are unwrapped. `before[copy]`, `after[copy]` are C-contiguous float64 views of its
        simulation; with `forces` that has the forces of contacts computed after each step.
        """
        fields = [[*first, *rest] for first, rest in zip(before, after, strict=True)]
        for each in (array for copy in fields for array in copy):
            assert each.dtype == np.float64 and each.flags.c_contiguous
        self._kept = [(env.model, env.data) for env in envs]  # addresses do not keep them alive
        handles = [(env.model._address, env.data._address, env.data.ctrl.ctypes.data) for env in envs]
        self._handles = np.array(handles, dtype=np.int64)
        self._addresses = np.array([[each.ctypes.data for each in copy] for copy in fields], dtype=np.int64)
        self._sizes = np.array([each.size for each in fields[0]], dtype=np.int64)
        self._before, self._frames = len(before[0]), envs[0].frame_skip
        self._values = np.zeros((len(envs), int(self._sizes.sum())))
        ends = np.cumsum(self._sizes)
        views = [self._values[:, end - size : end] for end, size in zip(ends, self._sizes, strict=True)]
        self.before, self.after = views[: self._before], views[self._before :]
        self.state = self._values[:, int(self._sizes[: self._before].sum()) :]
        """All fields that are read after a step, side by side."""
        self._step, self._functions = _compiled(), _functions() * (True, forces)

    def step(self, actions: Array, rows: Int) -> None:
        """Step the copies `rows` by their rows of `actions` [copies, controls]."""
        self._step(
            self._functions,
            self._handles,
            self._addresses,
            self._sizes,
            self._before,
            self._values,
            actions,
            self._frames,
            rows,
        )
