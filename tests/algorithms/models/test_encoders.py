"""Encoders: acting in numpy is what torch learns with, and both are the published networks in torch's own layers."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.convolutions import Images
from surreal.algorithms.models.learning import Bound, tensors_of
from surreal.protocol.errors import Fatal
from tests.algorithms.models.samples import NUMBERS, PIXELS, PLANES, ROBOT, model, observed, tensors, vector

CPU = torch.device("cpu")
STACK = spaces.Box(0, 255, (4, 40, 40), np.uint8)
COLOURS = spaces.Box(0, 255, (2, 40, 40, 3), np.uint8)
GREY = spaces.Box(0, 255, (40, 40), np.uint8)


@pytest.mark.parametrize(
    ("space", "network"),
    [
        (PIXELS, {}),
        (STACK, {"encoder": "nature-cnn", "policy": [6], "value": [7, 5]}),
        (COLOURS, {"shared": False}),
        (GREY, {"trunk": [9], "activation": "relu"}),
        (PLANES, {}),
        (PLANES, {"encoder": "impala-resnet"}),
        (spaces.Box(0, 255, (17, 12, 3), np.uint8), {"encoder": "impala-resnet"}),
        (ROBOT, {"encoders": {"joints": "mlp"}, "memory": {"kind": "lstm", "size": 6}}),
        (ROBOT, {"encoder": "impala-resnet", "memory": {"kind": "gru", "size": 6}}),
        (NUMBERS, {"encoder": "mlp", "activation": "silu", "layer_norm": True}),
        (NUMBERS, {"activation": "relu", "policy": [4], "value": [6, 3], "init": "default"}),
        (NUMBERS, {"layer_norm": True, "shared": True}),
    ],
)
def test_acting_in_numpy_is_what_torch_learns_with(space: Any, network: dict[str, Any]) -> None:
    layout = model(space, **network)
    values, rows = vector(layout), observed(layout, 6)
    policy = make_policy(layout)
    policy.load(values)
    states = np.random.default_rng(1).standard_normal((6, layout.state_size)).astype(np.float32)
    out, following = policy.advance(rows, states)
    learning = Bound(layout, values, CPU)
    placed = tensors_of(rows, CPU)
    if layout.state_size:
        from surreal.algorithms.models.memory import Memories, Segments

        segments = Segments.of(np.zeros((1, 6), dtype=np.bool_))
        learned, value = learning.estimates(placed, Memories(torch.from_numpy(states), segments))
        assert following.shape == states.shape and (following != states).any()
    else:
        learned, value = learning.estimates(placed)
    np.testing.assert_allclose(out, learned.numpy(), rtol=1e-4, atol=1e-5)
    assert out.shape == (6, 3) and value.shape == (6,)
    assert (policy.forward(rows[:2] if isinstance(rows, np.ndarray) else rows).shape[1]) == 3


@pytest.mark.parametrize("space", [PIXELS, STACK, COLOURS, GREY])
def test_torch_gets_images_with_channels_last_in_memory(space: Any) -> None:
    layout = model(space, encoder="impala-resnet")
    rows = torch.from_numpy(observed(layout, 2))
    seen = Images(space.shape, space.dtype).tensor(rows)
    assert seen.dtype == torch.float32 and seen.is_contiguous(memory_format=torch.channels_last)
    assert float(seen.max()) <= 1.0


def test_nature_cnn_is_the_published_network_in_torchs_layers() -> None:
    layout = model(spaces.Box(0, 255, (84, 84, 4), np.uint8), encoder="nature-cnn")
    values, rows = vector(layout), observed(layout, 2)
    parts = tensors(layout, values)
    convs = [nn.Conv2d(4, 32, 8, 4), nn.Conv2d(32, 64, 4, 2), nn.Conv2d(64, 64, 3, 1)]
    dense, head = nn.Linear(64 * 7 * 7, 512), nn.Linear(512, 3)
    names = ["encoder.conv0", "encoder.conv1", "encoder.conv2", "encoder.dense.0", "policy.0"]
    for name, layer in zip(names, [*convs, dense, head], strict=True):
        layer.load_state_dict({"weight": parts[f"{name}.weight"], "bias": parts[f"{name}.bias"]})
    x = torch.from_numpy(rows).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        for conv in convs:
            x = conv(x).relu()
        theirs = head(dense(x.flatten(1)).relu())
    ours = Bound(layout, values, CPU).estimates(torch.from_numpy(rows))[0]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-5)
    assert layout.size == 1_684_128 + 512 * 3 + 3 + 512 + 1


def test_a_layer_norm_and_its_activation_are_torchs() -> None:
    layout = model(NUMBERS, layer_norm=True, activation="silu", shared=True, trunk=[7], policy=[], value=[])
    values, rows = vector(layout), observed(layout, 4)
    parts = tensors(layout, values)
    linear, norm = nn.Linear(5, 7), nn.LayerNorm(7)
    linear.load_state_dict({"weight": parts["trunk.0.weight"], "bias": parts["trunk.0.bias"]})
    norm.load_state_dict({"weight": parts["trunk.0.norm.weight"], "bias": parts["trunk.0.norm.bias"]})
    with torch.no_grad():
        x = nn.functional.silu(norm(linear(torch.from_numpy(rows))))
        theirs = x @ parts["policy.0.weight"].T + parts["policy.0.bias"]
    np.testing.assert_allclose(Bound(layout, values, CPU).estimates(torch.from_numpy(rows))[0], theirs, atol=1e-5)


def test_rows_encoded_in_pieces_are_rows_encoded_at_once() -> None:
    layout = model(NUMBERS, activation="relu")
    learning, rows = Bound(layout, vector(layout), CPU), torch.from_numpy(observed(layout, 2_500))
    with torch.no_grad():
        whole = learning.outputs(rows)
    for at_once, pieces in zip(whole, learning.estimates(rows), strict=True):
        np.testing.assert_allclose(at_once, pieces, atol=1e-6)


@pytest.mark.parametrize("how", ["orthogonal", "default"])
def test_initial_parameters_follow_the_config(how: str) -> None:
    layout = model(NUMBERS, hidden=(64,), activation="relu", init=how)
    parts = layout.views(layout.initial(np.random.default_rng(0), 0.0))
    weight, bias = parts["policy.0.weight"], parts["policy.0.bias"]
    if how == "orthogonal":
        assert np.linalg.norm(weight, 2) == pytest.approx(np.sqrt(2), rel=1e-4) and not bias.any()
        assert np.linalg.norm(parts["policy.1.weight"], 2) == pytest.approx(0.01, rel=1e-4)
    else:
        bound = 1 / np.sqrt(5)
        assert 0.9 * bound < np.abs(weight).max() <= bound and 0.5 * bound < np.abs(bias).max() <= bound


@pytest.mark.parametrize(
    ("space", "network", "words"),
    [
        (NUMBERS, {"encoder": "nature-cnn"}, r"network.encoder: 'nature-cnn' takes images, .* numbers of shape \[5\]"),
        (ROBOT, {"encoders": {"joints": "small-cnn"}}, r"encoders.joints: 'small-cnn' takes images, and joints is"),
        (ROBOT, {"encoders": {"camera": "mlp"}}, r"encoders.camera: 'mlp' takes numbers, and camera is an image"),
        (ROBOT, {"encoders": {"camra": "mlp"}}, r"'camra' is no part of the observation \(did you mean 'camera'\?\)"),
        (PLANES, {"encoder": "nature-cnn"}, r"'nature-cnn' needs 36 pixels a side, and these images have 10x10"),
    ],
)
def test_an_encoder_that_does_not_take_the_observation_is_refused(
    space: Any, network: dict[str, Any], words: str
) -> None:
    with pytest.raises(Fatal, match=words):
        model(space, **network)
