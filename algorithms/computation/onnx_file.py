"""Computation graphs as ONNX files, written by the package `onnx` itself: in 20 ms, in one file, without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.computation.graph import Computation, Operation, Value
from surreal.protocol.errors import InvalidInput

OPSET, FORMAT = 17, 8
"""Operations and file format of ONNX 1.12 of 2022, which every runtime since then reads."""


def write(graph: Computation, about: Mapping[str, Any], path: Path) -> None:
    """Write a graph to `path`; its description is the file's metadata `surreal`, a JSON text.

    Raises InvalidInput where the package `onnx` is missing, and OSError.
    """
    try:
        from onnx import checker, helper
    except ModuleNotFoundError:
        raise InvalidInput("--format: onnx needs a package. Install it: pip install 'surreal[onnx]'.") from None
    parts = helper.make_graph(
        [node for each in graph.operations for node in _nodes(each)],
        "policy",
        [_value(each) for each in graph.inputs],
        [_value(each) for each in graph.outputs],
        [_tensor(name, array) for name, array in {**graph.constants, **_shapes(graph)}.items()],
    )
    model = helper.make_model(
        parts, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT, producer_name="surreal"
    )
    helper.set_model_props(model, {"surreal": json.dumps(about)})
    checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _value(value: Value) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(value.name, _type(value.dtype), ["n", *value.shape])


def _type(dtype: str) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _tensor(name: str, array: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(array, name)


def _shapes(graph: Computation) -> dict[str, Any]:
    """Return the whole numbers that ONNX takes as operands, by name: shapes, and bounds of slices."""
    found: dict[str, Any] = {}
    for each in graph.operations:
        if each.kind == "Reshape":
            # 0 stands for the rows as they are
            found[f"{each.result}.shape"] = np.array([0, *each.options["shape"]], dtype=np.int64)
        elif each.kind == "Slice":
            found[f"{each.result}.start"] = np.array([each.options["start"]])
            found[f"{each.result}.stop"] = np.array([each.options["stop"]])
            found["axis1"] = np.array([1])
    return found


def _nodes(each: Operation) -> Any:
    from onnx import helper

    operands, options = list(each.operands), each.options
    match each.kind:
        case "Cast":
            attributes: dict[str, Any] = {"to": _type(options["dtype"])}
        case "ReduceMean":
            attributes = {"axes": [-1], "keepdims": 1}
        case "ArgMax":
            attributes = {"axis": 1, "keepdims": 0}
        case "Concat":
            attributes = {"axis": 1}
        case "Transpose":
            attributes = {"perm": options["axes"]}
        case "Conv" | "MaxPool":
            attributes = {"strides": [options["stride"]] * 2, "pads": [options["padding"]] * 4}
            if each.kind == "MaxPool":
                attributes["kernel_shape"] = [options["size"]] * 2
        case "Reshape":
            operands, attributes = [*operands, f"{each.result}.shape"], {}
        case "Slice":
            operands, attributes = [*operands, f"{each.result}.start", f"{each.result}.stop", "axis1"], {}
        case _:
            attributes = {}
    return [helper.make_node(each.kind, operands, [each.result], **attributes)]
