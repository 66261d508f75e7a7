"""Where central inference computes: on a GPU that is there, unless the config keeps off it."""

from typing import Any

import pytest

from surreal.algorithms import devices
from surreal.algorithms.models import device_acting
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.device_acting import DevicePolicy, acting_policy
from tests.algorithms.gpu.networks import layout_of

LAYOUT = layout_of("tanh-pair")


@pytest.fixture(autouse=True)
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has a GPU, as far as the choice knows."""
    monkeypatch.setattr(devices, "gpu_present", lambda: True)


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_it_takes_a_gpu_that_is_there(device: devices.Device) -> None:
    assert isinstance(acting_policy(LAYOUT, make_policy(LAYOUT), device), DevicePolicy)


def test_a_config_of_cpu_keeps_it_off_the_gpu() -> None:
    plain = make_policy(LAYOUT)
    assert acting_policy(LAYOUT, plain, "cpu") is plain


def test_replicas_share_out_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[devices.Device, int]] = []

    def picked(device: devices.Device, index: int) -> Any:
        asked.append((device, index))
        return devices.pick_device("cpu")

    monkeypatch.setattr(device_acting, "pick_device", picked)
    device_acting.acting_policy(LAYOUT, make_policy(LAYOUT), "auto", 1)
    assert asked == [("auto", 1)]
