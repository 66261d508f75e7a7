"""What `surreal plan` says about the size of a run of ES or ARS."""

from typing import Any

import pytest

from surreal.algorithms.algorithm import Algorithm, Sizing
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.sizing import ENVIRONMENTS, Size
from surreal.algorithms.registry import ARS, ES
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.provisioner.pools.model import NodePool


def sized(algorithm: Algorithm, workers: int, copies: int = 16, env: str = "HalfCheetah-v5", **config: Any) -> Sizing:
    assert algorithm.sizing
    return algorithm.sizing(algorithm.config(**config), {"worker": workers}, {"id": env, "copies": copies})


def test_a_small_run_is_expected_to_be_as_fast_as_its_workers_together() -> None:
    found = sized(ES, 2)
    text = "\n".join(found.notes)
    assert "2 times the speed of one worker, efficiency 1.00" in text and "1,830 parameters" in text
    assert found.warnings == ()


def test_a_population_that_is_too_small_for_its_workers_is_said_with_one_that_is_not() -> None:
    (warning,) = sized(ES, 4000).warnings
    assert "3,984 of 4,000 workers" in warning and "population of 16,000" in warning
    assert sized(ES, 4000, population=16_000, hidden=[], chunk=8).warnings == ()
    (warning,) = sized(ARS, 100, directions=8, deterministic=True).warnings
    assert "99 of 100 workers have no episode" in warning and "directions of 800" in warning


def test_weights_that_are_too_much_for_one_process_ask_for_relays() -> None:
    (warning,) = sized(ES, 4000, population=80_000, hidden=[210, 210]).warnings
    assert "395 MB/s" in warning and "relays: 4" in warning


def test_more_workers_than_one_master_takes_are_said() -> None:
    warnings = sized(ES, 20_000, copies=1, population=80_000, hidden=[210, 210]).warnings
    assert "that one master takes" in warnings[0]


def test_relays_take_the_weights_off_the_master() -> None:
    assert ES.sizing
    config = ES.config(population=160_000, hidden=[210, 210], chunk=8)
    roles = {"worker": 4000, "weights-relay": 4}
    assert ES.sizing(config, roles, {"id": "HalfCheetah-v5", "copies": 16}).warnings == ()


def test_an_unknown_environment_is_said_to_be_taken_for_another() -> None:
    assert "Mine-v0 is not known here and was taken for HalfCheetah-v5" in sized(ES, 2, env="Mine-v0").notes[0]
    assert not any("not known" in note for note in sized(ES, 2).notes)


@pytest.mark.parametrize("env", ["HalfCheetah-v5", "Humanoid-v5", "CartPole-v1"])
@pytest.mark.parametrize("algorithm", [ES, ARS])
def test_parameters_are_counted_as_the_policy_has_them(env: str, algorithm: Algorithm) -> None:
    config: Any = algorithm.config()
    made = make_env({"id": env, "options": {}})
    assert Size(config, 1, 1, 0, ENVIRONMENTS[env]).parameters == Layout.of(config, made.spaces).size
    made.close()


@pytest.mark.parametrize("settings", [{}, {"deterministic": True}, {"max_staleness": 0}, {"population": 2}])
@pytest.mark.parametrize("workers", [0, 1, 100_000])
def test_no_size_is_too_odd_to_speak_about(settings: dict[str, Any], workers: int) -> None:
    assert len(sized(ES, workers, copies=64, **settings).notes) == 4


def test_the_plan_says_it() -> None:
    data = {
        "apiVersion": "surreal.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "many"},
        "spec": {
            "env": {"id": "HalfCheetah-v5", "copies": 16},
            "algorithm": {"name": "es", "config": {}},
            "roles": {"worker": {"replicas": 40}},
        },
    }
    plan = make_plan(Experiment.from_data(data), [NodePool(name="local", nodes=1, cpu=64, memory=2**36)])
    assert plan.notes[1].startswith("40 workers take the 64 episodes of a generation")
    assert plan.warnings == (
        "about 24 of 40 workers only send results that are dropped as too old: a population of 160, or fewer workers "
        "or copies",
    )
