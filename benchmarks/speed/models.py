"""Cost of each network: act, forward and backward beside plain torch; and of the engines that can act on a CPU core.

python benchmarks speed.models             # this library's networks beside torch.nn, a minibatch of 64
python benchmarks speed.models lstm gru    # only those whose names have one of these words
python benchmarks speed.models --engines   # numpy, torch, torch.compile, onnxruntime, OpenVINO: those installed

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
from surreal.algorithms.models.byhand import by_hand, make_network
from surreal.algorithms.models.config import MemoryConfig, NetworkConfig
from surreal.algorithms.models.learning import Bound
from surreal.algorithms.models.memory import Memories, Segments
from surreal.algorithms.networks import Layout

SECONDS, ROUNDS = 0.3, 3
CHOICES, ROWS, STEPS = 6, 64, 16
PIXELS = spaces.Box(0, 255, (4, 84, 84), np.uint8)
PLANES = spaces.Box(0, 1, (10, 10, 4), np.bool_)  # type: ignore[arg-type]
NUMBERS = spaces.Box(-1, 1, (64,), np.float32)
Arrays = list[np.ndarray[Any, Any]]
Engine = tuple[str, Callable[[], Any], Callable[[], Any]]
"""Name, one act, and taking over new weights."""


class Scaled(nn.Module):
    """Bytes to numbers from 0 to 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x / 255."""
        return x.float() / 255


class Planes(nn.Module):
    """Flags with channels last to numbers with channels first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [n, C, H, W]."""
        return x.permute(0, 3, 1, 2).float()


class Cell(nn.Module):
    """A cell of torch and its head, one step at a time."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(inputs, size), nn.Linear(size, CHOICES)

    def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return outputs and the next state."""
        h, c = self.cell(x, (h, c))
        return self.head(h), h, c


class Sequence(nn.Module):
    """torch's LSTM and its head over whole sequences [steps, copies, inputs]."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(inputs, size), nn.Linear(size, CHOICES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return outputs [steps, copies, choices]."""
        out: torch.Tensor = self.head(self.lstm(x)[0])
        return out


def nature() -> nn.Module:
    """The network of Mnih et al. 2015 in torch's own layers."""
    convs = (nn.Conv2d(4, 32, 8, 4), nn.Conv2d(32, 64, 4, 2), nn.Conv2d(64, 64, 3))
    layers = [layer for conv in convs for layer in (conv, nn.ReLU())]
    return nn.Sequential(Scaled(), *layers, nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, CHOICES))


def small() -> nn.Module:
    """The network of Young & Tian 2019 in torch's own layers."""
    layers = (nn.Conv2d(4, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, CHOICES))
    return nn.Sequential(Planes(), *layers)


def micros(call: Callable[[], Any]) -> float:
    """Return the best CPU time of a call, in microseconds."""
    call()
    best = float("inf")
    for _ in range(ROUNDS):
        calls, start = 0, time.process_time()
        while time.process_time() - start < SECONDS / ROUNDS:
            call()
            calls += 1
        best = min(best, (time.process_time() - start) / calls)
    return best * 1e6


def made(space: Any, **network: Any) -> Layout:
    """Return the layout of a network for six choices."""
    config = NetworkConfig(**network)
    return make_model(config, Spaces(space, spaces.Discrete(CHOICES)).seen_as(config.view), [64, 64])


def random_rows(space: Any, n: int) -> Any:
    """Return n observations of `space`; of ten flags one is set, as on MinAtar's boards."""
    shape = (n, *space.shape)
    if space.dtype == np.bool_:
        return np.random.default_rng(0).random(shape) < 0.1
    if space.dtype.kind == "f":
        return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return np.random.default_rng(0).integers(0, int(space.high.max()) + 1, shape).astype(space.dtype)


def learn(layout: Layout, space: Any, vector: Any) -> tuple[float, float]:
    """Return microseconds of forward, and of forward and backward, of a minibatch."""
    bound, rows = Bound(layout, vector, torch.device("cpu")), torch.from_numpy(random_rows(space, ROWS))
    memories = None
    if layout.state_size:
        copies = ROWS // STEPS
        segments = Segments.of(np.zeros((STEPS, copies), np.bool_))
        memories = Memories(torch.zeros(copies, layout.state_size), segments)

    def both() -> None:
        out, values = bound.outputs(rows, memories)
        (out.square().mean() + values.square().mean()).backward()

    return micros(lambda: bound.estimates(rows, memories)), micros(both)


def by_hands(layout: Layout, space: Any, vector: Any) -> tuple[float, float]:
    """Return the same of a network whose gradient is written by hand, its convolution compiled by numba."""
    network, rows = make_network(layout, vector, compiled=True), random_rows(space, ROWS)
    d_out, d_values = np.zeros((ROWS, layout.outputs), np.float32), np.zeros(ROWS, np.float32)

    def both() -> None:
        network.outputs(rows)
        network.backward(d_out, d_values)

    return micros(lambda: network.estimates(rows)), micros(both)


def plain(module: nn.Module, rows: torch.Tensor) -> tuple[float, float]:
    """Return the same of a module of torch's own layers."""

    def forward() -> None:
        with torch.no_grad():
            module(rows)

    def both() -> None:
        module(rows).square().mean().backward()

    return micros(forward), micros(both)


def table(words: list[str]) -> None:
    """Print each network's act at batch 8, forward, and forward with backward; of those with one of `words`."""
    cases: tuple[tuple[str, Any, dict[str, Any], nn.Module | None], ...] = (
        ("tanh pair 64-64", NUMBERS, {}, None),
        ("mlp relu 256-256", NUMBERS, {"activation": "relu", "policy": [256, 256]}, None),
        ("small-cnn", PLANES, {}, small()),
        ("nature-cnn", PIXELS, {"encoder": "nature-cnn"}, nature()),
        ("impala-resnet", PIXELS, {"encoder": "impala-resnet"}, None),
        ("lstm 128", NUMBERS, {"memory": {"kind": "lstm", "size": 128}}, Sequence(64, 128)),
        ("gru 128", NUMBERS, {"memory": {"kind": "gru", "size": 128}}, None),
        ("nature-cnn, lstm 128", PIXELS, {"memory": {"kind": "lstm", "size": 128}}, None),
    )
    heads = ("parameters", "act of 8", "forward", "+ backward")
    print(f"{'network':22} {heads[0]:>11} {heads[1]:>9} {heads[2]:>9} {heads[3]:>11}   others: forward, + backward")
    for name, space, network, module in cases:
        if words and not any(word in name for word in words):
            continue
        layout = made(space, **network)
        vector, policy = layout.initial(np.random.default_rng(0), 0.0), make_policy(layout)
        policy.load(vector)
        rows, state = random_rows(space, 8), policy.initial_state(8)
        act = micros(lambda: policy.advance(rows, state))  # noqa: B023
        forward, both = learn(layout, space, vector)
        line = f"{name:22} {layout.size:11,} {act:9,.0f} {forward:9,.0f} {both:11,.0f}"
        if module is not None:
            seen = torch.from_numpy(random_rows(space, ROWS))
            seen = seen.view(STEPS, -1, 64) if isinstance(module, Sequence) else seen
            line += "   torch.nn {:,.0f}, {:,.0f}".format(*plain(module, seen))
        if by_hand(layout):
            line += "   by hand {:,.0f}, {:,.0f}".format(*by_hands(layout, space, vector))
        print(line, flush=True)


def onnx_session(module: nn.Module, inputs: tuple[Any, ...], names: list[str], path: Path) -> Any:
    """Return an onnxruntime session of `module`, exported with weights inside."""
    import onnxruntime

    torch.onnx.export(module, inputs, str(path), input_names=names, dynamo=False)
    options = onnxruntime.SessionOptions()  # type: ignore[attr-defined]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(  # type: ignore[attr-defined]
        str(path), options, providers=["CPUExecutionProvider"]
    )


def openvino_model(path: Path) -> Any:
    """Return OpenVINO's compiled model of an ONNX file, float32, one thread."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(str(path), "CPU", settings).create_infer_request()


def torch_engines(module: nn.Module, inputs: Arrays) -> Iterator[Engine]:
    """Yield eager and compiled torch, then the runtimes that are installed."""
    tensors = tuple(torch.from_numpy(array) for array in inputs)
    vector = nn.utils.parameters_to_vector(module.parameters()).detach().clone()

    def load() -> None:
        nn.utils.vector_to_parameters(vector, module.parameters())

    with torch.inference_mode():
        yield "torch", lambda: module(*tensors), load
        compiled = torch.compile(module)
        yield "torch.compile", lambda: compiled(*tensors), load
    names = [f"in{n}" for n in range(len(inputs))]
    feeds, path = dict(zip(names, inputs, strict=True)), Path(tempfile.mkdtemp()) / "model.onnx"
    try:
        session = onnx_session(module, tensors, names, path)
        yield "onnxruntime", lambda: session.run(None, feeds), lambda: onnx_session(module, tensors, names, path)
        request = openvino_model(path)
        yield (
            "OpenVINO",
            lambda: request.infer(feeds),
            lambda: (onnx_session(module, tensors, names, path), openvino_model(path)),
        )
    except ImportError as error:
        print(f"left out: {error}")


def engines() -> None:
    """Print microseconds of an act with each engine, and milliseconds to take over new weights."""
    lstm = NetworkConfig(memory=MemoryConfig(size=128))
    for name, space, network, module in (
        ("Nature CNN", PIXELS, NetworkConfig(encoder="nature-cnn"), nature()),
        ("LSTM 64 -> 128", NUMBERS, lstm, Cell(64, 128)),
    ):
        layout = made(space, **network.model_dump())
        policy, vector = make_policy(layout), layout.initial(np.random.default_rng(0), 0.0)
        for batch in (1, 8):
            rows, state = random_rows(space, batch), policy.initial_state(batch)
            inputs = [rows, *(np.zeros((batch, 128), np.float32) for _ in range(2 * bool(policy.state_size)))]
            numpy: Engine = ("numpy", lambda: policy.advance(rows, state), lambda: policy.load(vector))  # noqa: B023
            for engine, call, load in (numpy, *torch_engines(module.eval(), inputs)):
                act, start = micros(call), time.process_time()
                load()
                swap = (time.process_time() - start) * 1e3
                print(f"{name:15} batch {batch} {engine:14} {act:7,.0f} us   new weights {swap:8.1f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("words", nargs="*")
    torch.set_num_threads(1)
    asked = parser.parse_args()
    engines() if asked.engines else table(asked.words)
