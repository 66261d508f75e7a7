"""`surreal plan` says what the network is, from a look at the environment, and refuses one that does not fit."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from surreal.orchestrator.experiment.load import experiment_schema, load_experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.planning import plan_for
from surreal.protocol.errors import InvalidInput

FILE = """\
metadata: {name: cart}
spec:
  env: {id: CartPole-v1}
  algorithm:
    name: ppo
    config:
      fragment_steps: 16
"""
OWN = """\
import gymnasium
import numpy as np

class Pictures(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (10, 10, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, seed=None, options=None):
        return np.zeros((10, 10, 3), np.uint8), {}
"""


CLUSTER = Path(__file__).parents[3] / "examples" / "clusters" / "gke.yaml"


def notes(folder: Path, *settings: str, env: str = "CartPole-v1", machines: Machines | None = None) -> str:
    """The notes of the plan of PPO with these lines in its config."""
    text = FILE.replace("CartPole-v1", env) + "".join(f"      {line}\n" for line in settings)
    (folder / "experiment.yaml").write_text(text)
    (folder / "pictures.py").write_text(OWN)
    return "\n".join(plan_for(load_experiment(folder / "experiment.yaml"), machines).notes)


def test_the_plan_counts_the_parameters_of_a_network(tmp_path: Path) -> None:
    found = notes(tmp_path, "network: {memory: {kind: lstm, size: 32}}", "minibatch: 128")
    # LSTM: 4 gates x 32 units x (4 inputs + 32 + 2 biases); heads of 2 choices and 1 value
    assert "memory 4,864, policy 66, value 33: 4,963 parameters" in found
    assert "a minibatch is 8 sequences of 16 steps" in found
    assert "gradients by autograd on a GPU where there is one, else on the CPU" in found


def test_the_plan_of_r2d2_counts_the_parameters_of_its_network(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        FILE.replace("ppo", "r2d2").replace("      fragment_steps: 16\n", "      hidden: [8]\n")
    )
    found = "\n".join(plan_for(load_experiment(tmp_path / "r.yaml")).notes)
    # of 128 units and 2 choices: a hidden layer of 8 units and its outputs, of the value and of the advantages
    assert "network: memory 70,144, value 1,041, advantage 1,050: 72,235 parameters" in found
    assert "MB in the learner with Adam" in found


def test_images_of_an_environment_in_the_files_folder_get_convolutions_by_default(tmp_path: Path) -> None:
    found = notes(tmp_path, env="pictures:Pictures")
    # 3 x 3 kernels of 3 planes into 16, then 8 x 8 x 16 places into 128 units
    assert f"encoder {16 * (27 + 1) + 128 * (8 * 8 * 16 + 1):,}, policy {4 * 129}, value 129" in found
    assert "tanh networks" not in found
    assert "gradients by autograd on a GPU where there is one, else by hand on the CPU" in found


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("device: cpu",), "gradients by hand on the CPU, compiled by numba"),
        (("device: cpu", "total_steps: 1000"), "gradients by hand on the CPU\n"),
        (("network: {memory: {}}",), "gradients by autograd on a GPU where there is one, else on the CPU"),
        (("device: cpu", "precision: bfloat16"), "gradients by autograd on the CPU"),
    ],
)
def test_the_plan_says_which_engine_small_images_get(tmp_path: Path, settings: Any, words: str) -> None:
    assert words in notes(tmp_path, *settings, env="pictures:Pictures")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((), "policy and value are tanh networks of 64-64 units, gradients by hand on the CPU"),
        (
            ("hidden: [512]",),
            "of 512 units, gradients by autograd on a GPU where there is one, else by hand on the CPU",
        ),
        (("hidden: [512]", "device: cpu"), "of 512 units, gradients by hand on the CPU"),
    ],
)
def test_the_plan_says_where_and_how_gradients_are_computed(tmp_path: Path, settings: Any, words: str) -> None:
    assert words in notes(tmp_path, *settings)


def test_a_plan_for_other_machines_may_ask_for_a_gpu_that_is_not_here(tmp_path: Path) -> None:
    found = notes(tmp_path, "device: cuda", machines=Machines(cluster_file=CLUSTER))
    assert "of 64-64 units, gradients by autograd on the GPU" in found


@pytest.mark.parametrize(
    ("env", "line", "words"),
    [
        ("CartPole-v1", "network: {encoder: nature-cnn}", "encoder: 'nature-cnn' takes images, and the observation is"),
        ("pictures:Pictures", "network: {encoder: mlp}", "observes images: .* Choose a network for images"),
        ("pictures:Pictures", "network: {encoder: nature-cnn}", "needs 36 pixels a side, and these images have 10x10"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_at_its_line(tmp_path: Path, env: str, line: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=rf"experiment.yaml:8: spec.algorithm.config.network: .*{words}"):
        notes(tmp_path, line, env=env)


def test_the_schema_for_editors_takes_the_short_forms_and_errors_still_name_the_keys(tmp_path: Path) -> None:
    checker = jsonschema.Draft202012Validator(experiment_schema())
    for network in ("m:make", None, {"make": "m:make", "width": 3}, {"memory": {"kind": "gru"}}):
        config = {"network": network}
        spec = {"env": {"id": "CartPole-v1"}, "algorithm": {"name": "ppo", "config": config}}
        assert list(checker.iter_errors({"metadata": {"name": "x"}, "spec": spec})) == []
    with pytest.raises(InvalidInput, match=r"network.memory.sise: unknown key 'sise' \(did you mean 'size'\?\)"):
        notes(tmp_path, "network: {memory: {sise: 3}}")


def test_a_suite_that_this_machine_cannot_make_is_refused_for_a_run_on_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"experiment\.yaml:3: spec\.env\.id: .*robosuite"):
        notes(tmp_path, "network: {activation: relu}", env="robosuite/NoSuchTask")
