"""The code that values of a sweep name is looked at before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.base import THIS_MACHINE
from surreal.orchestrator.run import home
from surreal.orchestrator.sweeps import inspect as module
from surreal.orchestrator.sweeps.control import start
from surreal.orchestrator.sweeps.inspect import inspect
from surreal.orchestrator.sweeps.load import Sweep, sweep_of
from surreal.protocol.errors import InvalidInput

EXPERIMENT = """\
apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata: {name: pole}
spec:
  env: {id: CartPole-v1}
  algorithm: {name: ppo, config: {total_steps: 4000}}
"""
RATE = "spec.algorithm.config.learning_rate"


def sweep(folder: Path, grid: dict[str, list[Any]]) -> Sweep:
    file = folder / "pole.yaml"
    file.write_text(EXPERIMENT)
    (folder / "own_pole.py").write_text("import gymnasium\n\ndef Reach():\n    return gymnasium.make('CartPole-v1')\n")
    return sweep_of(file, "try", [], grid=grid)


def test_an_environment_of_ones_own_that_is_not_there_is_named_with_the_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    inspect(sweep(tmp_path, {"spec.env.id": ["own_pole:Reach"]}), THIS_MACHINE)
    wrong = sweep(tmp_path, {"spec.env.id": ["own_pole:Reach", "own_pole:Foo"]})
    for look in (inspect, start):
        with pytest.raises(InvalidInput, match="^spec.env.id=own_pole:Foo: .*Foo"):
            look(wrong, THIS_MACHINE)
    assert not (home.home() / "sweeps" / "try").exists()


def test_values_that_mean_nothing_together_are_refused_before_a_trial(tmp_path: Path) -> None:
    wrong = sweep(tmp_path, {"spec.algorithm.config.minibatch": [64, 100_000]})
    with pytest.raises(InvalidInput, match="^spec.algorithm.config.minibatch=100000: 100000 is more than a batch has"):
        inspect(wrong, THIS_MACHINE)


def test_what_differs_in_numbers_of_the_config_alone_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    class Look:
        warnings: tuple[str, ...] = ()

        def __init__(self, experiment: Any, remote: bool) -> None:
            looks.append(experiment.spec.env.id)

        def __enter__(self) -> "Look":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(module, "Inspection", Look)
    inspect(sweep(tmp_path, {RATE: [1e-4, 1e-3], "spec.env.id": ["own_pole:Reach", "own_pole:Foo"]}), THIS_MACHINE)
    assert looks == ["own_pole:Reach", "own_pole:Foo"]
