"""Cost of each network: forward, backward and act beside plain torch; and of the engines that can act on a CPU core.

python benchmarks/models.py               # a table of this library's networks beside torch.nn
python benchmarks/models.py --engines     # numpy, torch, torch.compile, onnxruntime, OpenVINO: those that are installed

Microseconds of CPU time of one thread a call, best of some rounds: only ratios mean something on a busy machine.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import MemoryConfig, NetworkConfig

CALLS, ROUNDS = 20, 5


class Stepped(nn.Module):
    """A cell of torch and its head, one step at a time."""

    def __init__(self, inputs: int, size: int, outputs: int) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(inputs, size), nn.Linear(size, outputs)

    def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return outputs and the next state."""
        h, c = self.cell(x, (h, c))
        return self.head(h), h, c


class Scaled(nn.Module):
    """Bytes to numbers from 0 to 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x / 255."""
        return x.float() / 255


def nature(channels: int, outputs: int) -> nn.Module:
    """The network of Mnih et al. 2015 in torch's own layers."""
    convs = [(nn.Conv2d(channels, 32, 8, 4)), nn.Conv2d(32, 64, 4, 2), nn.Conv2d(64, 64, 3)]
    layers = [layer for conv in convs for layer in (conv, nn.ReLU())]
    return nn.Sequential(Scaled(), *layers, nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, outputs))


def micros(call: Callable[[], Any], calls: int = CALLS) -> float:
    """Return the best CPU time of a call, in microseconds."""
    call()
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            call()
        best = min(best, time.process_time() - start)
    return best / calls * 1e6


def onnx_session(module: nn.Module, inputs: tuple[Any, ...], names: list[str], path: Path) -> Any:
    """Return an onnxruntime session of `module`, exported with weights inside."""
    import onnxruntime

    torch.onnx.export(module, inputs, str(path), input_names=names, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def openvino_model(path: Path) -> Any:
    """Return OpenVINO's compiled model of an ONNX file, float32, one thread."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()


def engines(
    module: nn.Module, inputs: list[np.ndarray[Any, Any]], ours: Callable[[], Any]
) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Yield name, call, and how new weights are taken over, of each engine that is installed."""
    tensors = tuple(torch.from_numpy(array) for array in inputs)
    vector = np.concatenate([p.detach().numpy().reshape(-1) for p in module.parameters()])

    def load() -> None:
        nn.utils.vector_to_parameters(torch.from_numpy(vector), module.parameters())

    yield "numpy", ours, lambda: None
    with torch.inference_mode():
        yield "torch", lambda: module(*tensors), load
        compiled = torch.compile(module)
        yield "torch.compile", lambda: compiled(*tensors), load
    names = [f"in{n}" for n in range(len(inputs))]
    feeds = dict(zip(names, inputs, strict=True))
    path = Path(tempfile.mkdtemp()) / "model.onnx"
    try:
        session = onnx_session(module, tensors, names, path)
        yield "onnxruntime", lambda: session.run(None, feeds), lambda: onnx_session(module, tensors, names, path)
        request = openvino_model(path)
        yield "OpenVINO", lambda: request.infer(feeds), lambda: openvino_model(path)
    except ImportError as error:
        print(f"left out: {error}")


def act_table() -> None:
    """Print microseconds of an act with each engine, and milliseconds to take over weights."""
    pixels = Spaces(spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Discrete(6))
    numbers = Spaces.flat(64, 6, True)
    rng = np.random.default_rng(0)
    for name, found, network, module in (
        ("Nature CNN", pixels, NetworkConfig(encoder="nature-cnn"), nature(4, 6)),
        ("LSTM 64 -> 128", numbers, NetworkConfig(memory=MemoryConfig(size=128)), Stepped(64, 128, 6)),
    ):
        model = make_model(network, found.seen_as(network.view), [64, 64])
        policy = make_policy(model)
        vector = model.initial(rng, 0.0)
        policy.load(vector)
        print(f"{name}: load of numpy {micros(lambda: policy.load(vector)) / 1e3:.2f} ms")  # noqa: B023
        for batch in (1, 8):
            state = policy.initial_state(batch)
            if policy.state_size:
                x = rng.standard_normal((batch, 64)).astype(np.float32)
                inputs = [x, *(np.zeros((batch, 128), np.float32) for _ in range(2))]
            else:
                x = rng.integers(0, 255, (batch, 4, 84, 84)).astype(np.uint8)
                inputs = [x]
            for engine, call, load in engines(module.eval(), inputs, lambda: policy.advance(x, state)):  # noqa: B023
                swap = time.process_time()
                load()
                swap = time.process_time() - swap
                print(
                    f"  batch {batch} {engine:14} {micros(call):9.0f} us   new weights {swap * 1e3:8.1f} ms", flush=True
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--engines", action="store_true")
    torch.set_num_threads(1)
    if parser.parse_args().engines:
        act_table()
