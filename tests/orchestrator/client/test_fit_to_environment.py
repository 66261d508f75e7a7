"""An algorithm that does not take its environment, or its device, is refused before anything starts."""

from pathlib import Path

import pytest

from surreal.algorithms.devices import gpu_present
from surreal.orchestrator.experiment import inspection
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.planning import plan_for
from surreal.protocol.errors import InvalidInput
from tests.orchestrator.client.test_inspection import inspected, write

IMAGES = """\
import gymnasium, numpy as np

class Images(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (10, 10, 3), np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

class Masked(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, seed=None, options=None):
        return np.zeros(3, np.float32), {"action_mask": np.ones(2, np.int8)}

class MaskedNumbers(Masked):
    action_space = gymnasium.spaces.Box(-1, 1, (2,))
"""


@pytest.mark.parametrize(
    ("env", "algorithm", "said"),
    [
        ("Pendulum-v1", "{name: r2d2}", r"6: spec\.algorithm\.name: 'r2d2' takes one choice at a time"),
        ("Pendulum-v1", "{name: dqn}", r"6: spec\.algorithm\.name: 'dqn' takes Discrete actions"),
        ("CartPole-v1", "{name: td3}", r"6: spec\.algorithm\.name: 'td3' takes Box actions"),
        ("CartPole-v1", "{name: ddpg}", r"6: spec\.algorithm\.name: 'ddpg' takes Box actions"),
        ("CartPole-v1", "{name: iql, config: {dataset: d}}", r"6: spec\.algorithm\.name: 'iql' takes Box actions"),
        ("CartPole-v1", "{name: pevi, config: {dataset: d}}", r"6: spec\.algorithm\.name: pevi takes Discrete states"),
        ("images:Images", "{name: sac}", r"5: spec\.env\.id: .* observes images"),
        ("images:Images", "{name: es}", r"5: spec\.env\.id: .* observes images"),
        ("images:Images", "{name: ars}", r"5: spec\.env\.id: .* observes images"),
        ("images:Masked", "{name: dqn}", r"6: spec\.algorithm\.name: 'dqn' knows no masks of choices"),
        ("images:Masked", "{name: r2d2}", r"6: spec\.algorithm\.name: 'r2d2' knows no masks of choices"),
        (
            "CartPole-v1",
            "{name: r2d2, config: {network: {encoder: nature-cnn}}}",
            r"6: spec\.algorithm\.config\.network: encoder: 'nature-cnn' takes images",
        ),
    ],
)
def test_an_algorithm_that_does_not_take_the_environment_is_refused_at_its_line_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str, algorithm: str, said: str
) -> None:
    monkeypatch.setattr(inspection, "RESET_S", 120.0)
    with pytest.raises(InvalidInput, match=rf"own\.yaml:{said}"):
        plan_for(load_experiment(write(tmp_path, env, algorithm, images=IMAGES)))


@pytest.mark.parametrize(("env", "name"), [("CartPole-v1", "sac"), ("images:Masked", "es"), ("Pendulum-v1", "ars")])
def test_an_algorithm_that_takes_the_environment_is_planned(tmp_path: Path, env: str, name: str) -> None:
    assert plan_for(load_experiment(write(tmp_path, env, f"{{name: {name}}}", images=IMAGES))).algorithm == name


@pytest.mark.parametrize(
    ("env", "algorithm", "said"),
    [
        (
            "CartPole-v1",
            "{name: cql, config: {dataset: d, actions: 3}}",
            "own.yaml:6: spec.algorithm.config.actions: 3 has no effect where the actions are choices. Leave it out.",
        ),
        (
            "images:MaskedNumbers",
            "{name: ppo}",
            "own.yaml:5: spec.env.id: environment 'images:MaskedNumbers': its action_mask has no effect, for its "
            "actions are numbers. Leave it out, or take Discrete actions.",
        ),
        (
            "CartPole-v1",
            "{name: ppo, config: {inference_wait_ms: 5.0}}",
            "inference_wait_ms: 5 has no effect with inference: local. Leave it out, or set inference: central.",
        ),
    ],
)
def test_what_has_no_effect_with_the_environment_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str, algorithm: str, said: str
) -> None:
    monkeypatch.setattr(inspection, "RESET_S", 120.0)
    warnings = plan_for(load_experiment(write(tmp_path, env, algorithm, images=IMAGES))).warnings
    found = [each for each in warnings if "has no effect" in each]
    assert len(found) == 1 and found[0].endswith(said)


@pytest.mark.skipif(gpu_present(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["ppo", "td3"])
def test_a_gpu_that_is_not_here_is_refused_at_its_line_for_a_run_on_this_machine_alone(
    tmp_path: Path, name: str
) -> None:
    file = write(tmp_path, "Pendulum-v1", f"{{name: {name}, config: {{device: cuda}}}}")
    said = (
        r"own\.yaml:6: spec\.algorithm\.config\.device: 'cuda' needs a GPU, and torch sees none here\. Use device: auto"
    )
    with pytest.raises(InvalidInput, match=said):
        plan_for(load_experiment(file))
    assert inspected(load_experiment(file), remote=True) == []
