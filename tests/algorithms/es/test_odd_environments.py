"""Runs of es and ars in environments that misbehave, and what they do with observations as they are."""

from pathlib import Path

import numpy as np
import pytest

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.config import ARSConfig, ESConfig
from surreal.algorithms.es.state import State
from surreal.protocol.errors import ExitCode
from tests.algorithms.environments.own.odd import Odd
from tests.algorithms.es.es_run import EvolutionRun

SHORT = {"evaluate_episodes": 1, "population": 8, "hidden": [4], "chunk": 2, "total_steps": 4000}
PATIENCE = 120.0


@pytest.mark.parametrize(
    ("env", "how", "code", "said"),
    [
        ("odd:Odd", "reset alone", ExitCode.FATAL, "not (observation, info)"),
        ("odd:Odd", "exit", ExitCode.FAILED, "ended the process in step: exit(None)"),
        ("odd:Image", "", ExitCode.FATAL, "observes images"),
    ],
)
def test_a_master_says_what_is_wrong_with_its_environment(
    folder: Path, env: str, how: str, code: ExitCode, said: str
) -> None:
    with EvolutionRun(folder, "es", SHORT, env=env, options={"how": how}) as run:
        assert run.start("master").wait(PATIENCE) == code, run.log("master-0")
        assert f"environment '{env}'" in run.log("master-0")
        assert said in run.log("master-0")


@pytest.mark.parametrize(("env", "how"), [("odd:Odd", "reward array"), ("odd:Choices", "")])
def test_an_odd_but_valid_environment_is_learned_from(folder: Path, env: str, how: str) -> None:
    with EvolutionRun(folder, "es", SHORT, env=env, options={"how": how}) as run:
        run.start_all()
        assert [worker.wait(PATIENCE) for worker in run.workers.values()] == [0, 0, 0], run.log("worker-0")


@pytest.mark.parametrize("config", [ESConfig, ARSConfig])
def test_observations_are_not_clipped_where_they_are_not_normalized(config: type[ESConfig] | type[ARSConfig]) -> None:
    chosen = config(normalize_observations="none")
    layout = Layout.of(chosen, Environment(Odd(), "odd").spaces)
    standardize = State(layout, chosen, 0, 1).standardizer()
    assert standardize(np.array([[5, 50, -300]], np.float32)).tolist() == [[5, 50, -300]]
