"""`surreal plan`: a table for people, JSON and YAML for programs."""

import json
from pathlib import Path

import pytest
import yaml

from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.provisioner.pools.local import local_pool
from tests.cli.test_main import surreal

EXPERIMENT = """\
metadata: {name: cart}
spec:
  env: {id: CartPole-v1}
  algorithm: {name: ppo}
  roles:
    actor: {replicas: 500, resources: {cpu: 0.5}}
"""


OWN = """
from surreal.algorithms.toolkit import Algorithm, Config, Role, Stream


def run(process):
    pass


MINE = Algorithm(
    "mine",
    Config,
    [Role("learner", "own_dqn:run", ends_run=True), Role("replay", "own_dqn:run")],
    [Stream("samples", "replay", "learner")],
)
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT)
    return path


def test_json_and_yaml_are_the_plan(experiment: Path) -> None:
    plan = make_plan(load_experiment(experiment), [local_pool()])
    as_json = surreal("plan", experiment, "-o", "json")
    as_yaml = surreal("plan", "-f", experiment, "--output", "yaml")
    assert Plan.from_json(as_json.stdout) == plan
    assert yaml.safe_load(as_yaml.stdout) == json.loads(as_json.stdout) == plan.to_data()
    assert as_json.stderr == as_yaml.stderr == ""


def test_without_a_calibration_the_plan_says_so_and_makes_nothing_up(experiment: Path) -> None:
    # one of the default sizes comes with surreal
    other = ("--set", "spec.env.copies=3")
    asked = json.loads(surreal("plan", experiment, *other, "-o", "json", "--what-if", "actor=3").stdout)["prediction"]
    assert asked["steps_per_second"] is asked["hours"] is asked["bounded_by"] is None
    assert asked["replicas"]["actor"] == 3
    said = surreal("plan", experiment, *other).stdout
    assert "no prediction: nothing was measured. Run surreal calibrate FILE first." in said
    refused = surreal("plan", experiment, *other, "--target", "100")
    assert refused.returncode == 2 and "--target: no prediction" in refused.stderr


def test_the_table_shows_roles_and_channels_and_the_warnings_go_to_stderr(experiment: Path) -> None:
    done = surreal("plan", experiment)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["cart:", "ppo", "learns", "CartPole-v1,", "seed", "1"]
    assert ["actor", "500", "0.5", "1Gi", "0", "local", "restart;", "the", "run", "continues"] in rows
    assert ["weights", "broadcast", "learner", "actor,", "evaluator", "learner", "newest", "wins"] in rows
    assert "warning: roles ask for 251.5 CPUs" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_only_the_role_that_ends_the_run_is_said_to_have_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "own_dqn.py").write_text(OWN)
    (tmp_path / "own.yaml").write_text(
        "metadata: {name: own}\nspec: {env: {id: CartPole-v1}, algorithm: {name: 'own_dqn:MINE'}}\n"
    )
    done = surreal("plan", tmp_path / "own.yaml")
    rows = {line.split()[0]: " ".join(line.split()) for line in done.stdout.splitlines() if line.strip()}
    assert "restart from its checkpoint; ends the run when done" in rows["learner"], done.stderr
    assert "restart; it begins anew" in rows["replay"]


def test_the_table_shows_relays_as_a_role_of_their_own(experiment: Path) -> None:
    channels = ("--set", "spec.channels.weights.relays=2", "--set", "spec.channels.weights.dtype=bfloat16")
    rows = [" ".join(line.split()) for line in surreal("plan", experiment, *channels).stdout.splitlines()]
    assert "weights-relay 2 0.5 512Mi 0 local restart; the run continues" in rows
    weights = "weights broadcast learner actor, evaluator learner newest wins, over 2 relays, as bfloat16"
    assert weights in rows


def test_overrides_reach_the_plan(experiment: Path) -> None:
    done = surreal("plan", experiment, "--set", "spec.seed=7", "--set", "metadata.name=other", "-o", "json")
    assert (json.loads(done.stdout)["seed"], json.loads(done.stdout)["name"]) == (7, "other")


def test_a_process_larger_than_this_machine_is_refused_with_its_line(experiment: Path) -> None:
    experiment.write_text(EXPERIMENT.replace("cpu: 0.5", "cpu: 100000"))
    done = surreal("plan", experiment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"{experiment}:6: spec.roles.actor.resources.cpu: must be ")
