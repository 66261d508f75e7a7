"""A run goes on with other values, and a new run begins where another one was; what does not fit is refused before."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import surreal
from surreal.algorithms.recording.checkpoint import Checkpoint, load, write
from surreal.algorithms.recording.policy_record import refuse_another_network
from surreal.algorithms.training_loop import _misfit
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.change import refuse_an_end_at_once
from surreal.orchestrator.run import home
from surreal.orchestrator.run.provenance import provenance
from surreal.orchestrator.starting_point import StartingPoint
from surreal.orchestrator.supervision.record import RunRecord, read_plan
from surreal.protocol.errors import Fatal, InvalidInput, NotFound
from surreal.protocol.telemetry.gauges import Progress
from tests.algorithms.saved import save_ppo


def experiment(name: str = "pole", env: Any = "CartPole-v1", **config: Any) -> Experiment:
    return Experiment(name, env, surreal.PPO(**{"total_steps": 4000, **config}))


def recorded(made: Experiment, code: Path) -> home.Folder:
    """The folder of a run that has succeeded."""
    folder = home.new_folder(made.name)
    folder.make()
    folder.experiment.write_text(made.to_yaml())
    folder.plan.write_text(Client().plan(made).to_json())
    home.write_json(folder.provenance, provenance(code, None, made.spec.env.id))
    RunRecord(state="succeeded").write(folder)
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalBackend:
    """A home with one run, `pole`, that has succeeded and has a checkpoint of step 20."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    folder = recorded(experiment(), tmp_path)
    save_ppo(folder.path, gymnasium.make("CartPole-v1"), "CartPole-v1")
    manifest = next(folder.checkpoints.glob("step-*/manifest.json"))
    manifest.write_text(manifest.read_text().replace('"algorithm": "any"', '"algorithm": "ppo"'))
    return LocalBackend()


def test_a_run_that_has_succeeded_can_go_on_for_more_steps(place: LocalBackend) -> None:
    with pytest.raises(InvalidInput, match="pole: has succeeded: .* surreal resume pole --set spec.algorithm.config"):
        place.resume("pole")
    place.change("pole", ["spec.algorithm.config.total_steps=8000", "spec.roles.actor.replicas=3"])
    folder = home.find("pole")
    plan = read_plan(folder)
    assert (plan.config["total_steps"], plan.role("actor").replicas) == (8000, 3)
    assert "total_steps: 8000" in folder.experiment.read_text()
    assert place.status("pole").state == "stopped"


def test_what_a_run_keeps_for_life_and_wrong_values_are_refused_with_nothing_changed(place: LocalBackend) -> None:
    folder = home.find("pole")
    before = folder.plan.read_text(), folder.experiment.read_text()
    for change, text in (
        (
            "spec.env.id=Acrobot-v1",
            "--set spec.env.id: 'CartPole-v1' cannot change .* surreal create FILE --from",
        ),
        ("spec.algorithm.config.learning_rat=1", "unknown key 'learning_rat' .did you mean 'learning_rate'"),
        ("spec.env.options={render_mode: rgb_array}", "--set spec.env.options: {} cannot change .* FILE --from pole"),
        ("spec.env.wrappers=[{stack: 3}]", r"--set spec.env.wrappers: \[\] cannot change .* FILE --from pole"),
        ("spec.env.actionScaling=none", "--set spec.env.actionScaling: auto cannot change .* surreal create FILE$"),
        ("spec.roles.evaluator.replicas=2", "--set spec.roles.evaluator.replicas: must be 1, not 2"),
        ("spec.roles.actr.replicas=2", "unknown role 'actr' .did you mean 'actor'"),
    ):
        with pytest.raises(InvalidInput, match=text):
            place.change("pole", [change])
    assert (folder.plan.read_text(), folder.experiment.read_text()) == before
    assert place.status("pole").state == "succeeded"


STAYS = "cannot change in a run that exists"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("hidden=[32]", rf"hidden: \[64, 64\] {STAYS}\. Begin another one: surreal create FILE$"),
        ("network={init: default}", f"network.init: orthogonal {STAYS}"),
        ("network.activation=relu", f"network.activation: tanh {STAYS}"),
        ("normalize_observations=false", f"normalize_observations: true {STAYS}"),
        ("normalize_rewards=false", f"normalize_rewards: true {STAYS}"),
    ],
)
def test_what_weights_are_learned_with_is_refused_over_a_resume(place: LocalBackend, change: str, text: str) -> None:
    folder = home.find("pole")
    before = folder.plan.read_text(), folder.experiment.read_text()
    with pytest.raises(InvalidInput, match=f"--set spec.algorithm.config.{text}"):
        Run.find("pole").resume(changes=[f"spec.algorithm.config.{change}"])
    assert (folder.plan.read_text(), folder.experiment.read_text()) == before


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("critics=3", f"critics: 2 {STAYS}"),
        ("normalize_observations=true", f"normalize_observations: false {STAYS}"),
        (
            "updates_per_step=8",
            f"updates_per_step: it would make layer_norm true, and false {STAYS}. "
            "Add --set spec.algorithm.config.layer_norm=false, or begin another",
        ),
    ],
)
def test_a_key_that_changes_an_off_policy_network_is_refused_before_the_file_changes(
    place: LocalBackend, tmp_path: Path, change: str, text: str
) -> None:
    folder = recorded(Experiment("sac", "Pendulum-v1", surreal.SAC(total_steps=4000)), tmp_path)
    before = folder.experiment.read_text()
    with pytest.raises(InvalidInput, match=f"--set spec.algorithm.config.{text}"):
        place.change("sac", [f"spec.algorithm.config.{change}"])
    assert folder.experiment.read_text() == before
    given = [f"spec.algorithm.config.{each}" for each in ("updates_per_step=8", "layer_norm=false")]
    place.change("sac", given)
    assert read_plan(folder).config["updates_per_step"] == 8


def test_a_run_keeps_its_algorithm_where_a_key_came_after_it(place: LocalBackend) -> None:
    folder = home.find("pole")
    lines = folder.experiment.read_text().replace("gae_lambda: 0.95", "gae_lambda: 0.9").splitlines(keepends=True)
    folder.experiment.write_text("".join(line for line in lines if "value_learning_rate" not in line))
    fork = StartingPoint.find("pole").experiment(["metadata.name=fork"]).spec.algorithm.config
    place.change("pole", ["spec.algorithm.config.total_steps=8000"])
    for config in (fork, read_plan(folder).config):
        assert (config["gae_lambda"], config["value_learning_rate"]) == (0.9, None)
    place.change("pole", ["spec.algorithm.config.value_learning_rate=0.002"])
    assert read_plan(folder).config["value_learning_rate"] == 0.002


def test_a_budget_that_is_used_up_is_refused_before_anything_starts(place: LocalBackend) -> None:
    folder = home.find("pole")
    home.write_json(folder.progress, {"steps": 20})
    before = folder.plan.read_text()
    with pytest.raises(InvalidInput, match=r"total_steps: 2e1 is not beyond step 20, where pole is\. Set more\."):
        Run.find("pole").resume(changes=["spec.algorithm.config.total_steps=2e1"])
    assert folder.plan.read_text() == before and place.status("pole").state == "succeeded"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (["total_steps=8000"], "pole: its return reached stop_at_return, 30: it would end at once. Add --set spec"),
        (["stop_at_return=40"], r"stop_at_return: 40 is not beyond 41\.5, the return of pole\. Set more\."),
    ],
)
def test_a_run_that_reached_its_goal_goes_on_only_past_it(place: LocalBackend, changes: list[str], text: str) -> None:
    place.change("pole", ["spec.algorithm.config.stop_at_return=30"])
    folder, run = home.find("pole"), Run.find("pole")
    RunRecord(state="succeeded").write(folder)
    home.write_json(folder.progress, {"steps": 20, "episode_return": 41.5})
    before = folder.plan.read_text()
    past = "Train on past its goal: surreal resume pole --set spec.algorithm.config.stop_at_return=null"
    for ends in (run.resume, lambda: run.scale({"actor": 3})):
        with pytest.raises(InvalidInput, match=past):
            ends()
    with pytest.raises(InvalidInput, match=text):
        run.resume(changes=[f"spec.algorithm.config.{change}" for change in changes])
    assert folder.plan.read_text() == before and place.status("pole").state == "succeeded"


@pytest.mark.parametrize(
    "change", ["config.stop_at_return=null", "config.stop_at_return=50", "config={total_steps: 8}"]
)
def test_a_goal_further_on_is_none_that_is_reached(change: str) -> None:
    progress = Progress(steps=20, episode_return=41.5)
    refuse_an_end_at_once("pole", [f"spec.algorithm.{change}"], progress, "its return reached stop_at_return, 30")


def test_a_check_alone_changes_nothing(place: LocalBackend) -> None:
    before = home.find("pole").plan.read_text()
    warnings = place.change("pole", ["spec.roles.actor.replicas=300"], check_only=True)
    assert any("roles ask for" in warning for warning in warnings)
    assert home.find("pole").plan.read_text() == before


def test_a_run_that_has_succeeded_has_nothing_to_scale(place: LocalBackend) -> None:
    with pytest.raises(InvalidInput, match="pole: has succeeded: there are no processes to scale. Train on"):
        Run("pole", place).scale({"actor": 3})


def test_a_role_to_scale_that_is_not_there_is_named_as_it_was_given(place: LocalBackend) -> None:
    place.change("pole", ["spec.algorithm.config.total_steps=8000"])
    with pytest.raises(InvalidInput, match="^actors: unknown role 'actors' .did you mean 'actor'"):
        Run("pole", place).scale({"actors": 2})


def test_a_run_begins_at_a_checkpoint_of_another_one(place: LocalBackend) -> None:
    point = StartingPoint.find("pole@20")
    made = point.experiment(["metadata.name=fork", "spec.algorithm.config.total_steps=30"])
    assert (made.name, made.spec.env.id, made.spec.algorithm.config["total_steps"]) == ("fork", "CartPole-v1", 30)
    folder = point.prepare(made)
    begun = load(folder / "step-000000000020")
    assert begun.arrays.keys() == load(point.folder).arrays.keys()
    shutil.rmtree(folder)


def later(**state: Any) -> StartingPoint:
    """Return a checkpoint of `pole` that has this state, one step after the other."""
    found = load(StartingPoint.find("pole").folder)
    write(home.find("pole").checkpoints, "step-000000000021", Checkpoint(21, found.arrays, state, found.policy))
    return StartingPoint.find("pole")


def test_a_checkpoint_that_has_reached_the_goal_is_no_begin_of_a_run(place: LocalBackend) -> None:
    point = later(returns=[30.0, 53.0])
    config: dict[str, Any] = {"stop_at_return": 30, "return_window": 2}
    text = r"stop_at_return: 30 is not beyond 41\.5, the return with which pole is taken up\. Set more, or null\."
    with pytest.raises(InvalidInput, match=text):
        point.prepare(experiment("fork", **config))
    with pytest.raises(InvalidInput, match=text):
        point._check_end({"stop_at_return": 30}, {"mean_return": 41.5})  # of evolution strategies
    others: list[dict[str, Any]] = [{"stop_at_return": 42}, {"return_window": 3}, {"stop_at_return": None}]
    for more in others:
        shutil.rmtree(point.prepare(experiment("fork", **{**config, **more})))


@pytest.mark.parametrize(
    ("config", "key", "was", "now"),
    [
        ({"network": {"encoder": "none"}}, "network.encoder", "auto", "none"),
        ({"network": {"init": "default"}}, "network.init", "orthogonal", "default"),
        ({"network": {"squash": True}}, "network.squash", "false", "true"),
        ({"network": {"activation": "relu"}}, "network.activation", "tanh", "relu"),
        ({"hidden": [8]}, "hidden", r"\[64, 64\]", r"\[8\]"),
        ({"normalize_observations": False}, "normalize_observations", "true", "false"),
        ({"normalize_rewards": False}, "normalize_rewards", "true", "false"),
    ],
)
def test_weights_that_would_be_another_function_are_no_begin_of_a_run(
    place: LocalBackend, config: dict[str, Any], key: str, was: str, now: str
) -> None:
    text = f"config.{key}: pole learned with {was}, not with {now}, and a fork keeps that. Set "
    for env in ("CartPole-v1", "CartPole-v0"):
        with pytest.raises(InvalidInput, match=f"{text}{key}: {was}, or begin without --from"):
            StartingPoint.find("pole").prepare(experiment("other", env, **config))


def test_a_fork_is_held_to_the_network_at_its_set(place: LocalBackend) -> None:
    point = StartingPoint.find("pole")
    made = point.experiment(["metadata.name=fork", "spec.algorithm.config.network={encoder: none}"])
    with pytest.raises(InvalidInput, match="^--set spec.algorithm.config.network.encoder: pole learned with auto"):
        point.prepare(made)


def test_a_fork_of_a_run_from_before_a_key_of_the_network_has_its_default(place: LocalBackend) -> None:
    folder = home.find("pole")
    lines = folder.experiment.read_text().splitlines(keepends=True)
    folder.experiment.write_text("".join(line for line in lines if "squash" not in line and "gsde" not in line))
    shutil.rmtree(StartingPoint.find("pole").prepare(experiment("fork")))


def test_a_checkpoint_whose_run_is_not_known_is_left_to_the_learner(place: LocalBackend) -> None:
    home.find("pole").experiment.unlink()
    shutil.rmtree(StartingPoint.find("pole").prepare(experiment("fork", network={"encoder": "none"})))


def described(**network: Any) -> dict[str, Any]:
    return {"network": {"kind": "actor-critic", "hidden": [64], "network": network}}


def test_the_learner_refuses_another_network_of_as_many_weights() -> None:
    tanh = described(activation="tanh")
    refuse_another_network(tanh, described(squash=False))  # a key is newer than the checkpoint
    refuse_another_network({}, tanh)
    text = "spec.algorithm.config.network: the checkpoint is of another one, whose network.activation is tanh, and this"
    with pytest.raises(Fatal, match=text):
        refuse_another_network(tanh, described(activation="relu", squash=False))
    with pytest.raises(Fatal, match="whose kind is pair, and this run has actor-critic. Set the network of the run"):
        refuse_another_network({"network": {"kind": "pair", "hidden": [64]}}, tanh)


TWIN = """from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.spaces import Box

class Twin(CartPoleEnv):
    pass

class Wide(CartPoleEnv):
    def __init__(self):
        super().__init__()
        self.observation_space = Box(-1.0, 1.0, (5,))

def late():
    raise OSError("no such table")
"""


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Experiment]:
    """Return an experiment in an environment of the module beside its file, where the present folder is another."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "twins.py").write_text(TWIN)
    monkeypatch.chdir(tmp_path)

    def twin(name: str) -> Experiment:
        file = tmp_path / "own" / "twin.yaml"
        file.write_text(experiment("twin", f"twins:{name}").to_yaml())
        return load_experiment(file)

    return twin


def test_in_another_environment_of_the_same_shapes_steps_begin_at_zero(
    place: LocalBackend, twin: Callable[[str], Experiment]
) -> None:
    ended = {"steps": 900, "episodes": 9, "terminated": 9}
    folder = later(updates=1, mean_return=41.5, discount=ended).prepare(twin("Twin"))
    begun = load(folder / "step-000000000000")
    assert (begun.steps, begun.state) == (0, {"updates": 0, "mean_return": None, "discount": None})
    shutil.rmtree(folder)
    assert "twins" not in sys.modules


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Wide", r"--from pole: it has the observation Box \[4\] of 'CartPole-v1', and 'twins:Wide' has Box \[5\]"),
        ("late", r"twin.yaml:8: spec.env.id: .*twins.py:13: .*no such table"),
        ("Twi", r"twin.yaml:8: spec.env.id: twins:Twi names nothing in .*did you mean 'Twin'"),
    ],
)
def test_an_environment_of_ones_own_that_does_not_fit_or_cannot_be_made_is_told_at_its_line(
    place: LocalBackend, twin: Callable[[str], Experiment], name: str, text: str
) -> None:
    with pytest.raises(InvalidInput, match=text):
        StartingPoint.find("pole").prepare(twin(name))


def test_wrappers_that_change_what_is_observed_are_refused_with_both_sizes(place: LocalBackend) -> None:
    wider = experiment("fork", {"id": "CartPole-v1", "wrappers": ["time_feature"]})
    with pytest.raises(InvalidInput, match=r"it has the observation Box \[4\] .* has Box \[5\]"):
        StartingPoint.find("pole").prepare(wider)


def test_actions_that_would_mean_something_else_are_no_begin_of_a_run(place: LocalBackend) -> None:
    folder = recorded(experiment("arm", "Pendulum-v1"), home.find("pole").path)
    save_ppo(folder.path, gymnasium.make("Pendulum-v1"), "Pendulum-v1")
    manifest = next(folder.checkpoints.glob("step-*/manifest.json"))
    manifest.write_text(manifest.read_text().replace('"algorithm": "any"', '"algorithm": "ppo"'))
    raw = experiment("fork", {"id": "Pendulum-v1", "actionScaling": "none"})
    with pytest.raises(InvalidInput, match="env.actionScaling: arm learned with auto, and with none its actions are"):
        StartingPoint.find("arm").prepare(raw)
    choices = experiment("fork", {"id": "CartPole-v1", "actionScaling": "none"})  # which are not scaled
    shutil.rmtree(StartingPoint.find("pole").prepare(choices))


def test_a_fork_has_the_code_of_its_run_which_lies_elsewhere_than_beside_its_file(
    place: LocalBackend, tmp_path: Path
) -> None:
    folder = home.find("pole")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "mine.py").write_text("")
    text = folder.experiment.read_text()
    folder.experiment.write_text(text.replace("code: null", "code: ./lab"))
    assert "code: ./lab" in folder.experiment.read_text()
    shutil.copytree(tmp_path / "lab", folder.code)
    fork = StartingPoint.find("pole").experiment(["metadata.name=fork"])
    assert (fork.spec.code, fork.code_folder) == (".", folder.code)
    Client().plan(fork)
    other = StartingPoint.find("pole").experiment(["metadata.name=fork", f"spec.code={tmp_path / 'lab'}"])
    assert other.code_folder == tmp_path / "lab"


def test_with_other_wrappers_steps_are_counted_on_and_the_length_of_episodes_is_learned_anew(
    place: LocalBackend,
) -> None:
    known = {"steps": 900, "episodes": 9, "terminated": 0}
    point, kept = later(updates=1, discount=known), {}
    for wrappers in ([], [{"time_limit": 50}]):
        folder = point.prepare(experiment("fork", {"id": "CartPole-v1", "wrappers": wrappers}))
        kept[len(wrappers)] = load(folder / "step-000000000021")
        shutil.rmtree(folder)
    assert [kept[n].state["discount"] for n in (0, 1)] == [known, None]
    assert kept[1].steps == 21 and kept[1].state["updates"] == 1


@pytest.mark.parametrize(
    ("source", "made", "text"),
    [
        ("pole@7", {}, "--from: pole has no checkpoint of step 7. It has: 20."),
        ("pole", {"env": "Acrobot-v1"}, r"observation Box \[4\] of 'CartPole-v1', and 'Acrobot-v1' has Box \[6\]"),
        ("pole", {"env": "MountainCarContinuous-v0"}, r"Box \[4\] of .* and 'MountainCarContinuous-v0' has Box \[2\]"),
        ("pole", {"total_steps": 20}, "total_steps: 20 is not beyond step 20, where pole is taken up. Set more."),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_both_named(
    place: LocalBackend, source: str, made: dict[str, Any], text: str
) -> None:
    with pytest.raises((InvalidInput, NotFound), match=text):
        StartingPoint.find(source).prepare(experiment("other", **made))


def test_another_algorithm_and_a_fork_without_a_name_are_refused(place: LocalBackend) -> None:
    point = StartingPoint.find("pole")
    with pytest.raises(InvalidInput, match="it was trained by 'ppo', and spec.algorithm.name is 'dqn'"):
        point.prepare(Experiment("other", "CartPole-v1", "dqn"))
    with pytest.raises(InvalidInput, match="a fork needs a name of its own. Give --set metadata.name=..."):
        point.experiment([])
    shutil.rmtree(home.find("pole").checkpoints)
    with pytest.raises(NotFound, match="--from: pole has no checkpoint yet"):
        StartingPoint.find("pole")


def test_networks_of_another_size_are_named_with_both_sizes() -> None:
    import numpy as np

    found, mine = (Checkpoint(20, {"updater.parameters": np.zeros(size)}) for size in (10, 12))
    error = _misfit(found, mine, ValueError("could not broadcast"))
    assert str(error).startswith("checkpoint of step 20: updater.parameters has the shape [10], and the networks of")
    assert "[12]" in str(error)
    error = _misfit(found, mine, KeyError("square"))
    assert "[12]" in str(error)
    assert "it does not fit this run: it has no 'square'." in str(_misfit(found, found, KeyError("square")))


@pytest.mark.slow
def test_a_running_run_is_scaled_and_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    client = Client()
    run = client.create(experiment("live", total_steps=10_000_000, fragment_steps=64))
    try:
        run.scale({"actor": 2})
        assert [each.index for each in run.status().roles["actor"]] == [0, 1]
        run.stop()
        steps = run.status().progress.steps
        run.resume(changes=[f"spec.algorithm.config.total_steps={steps + 2000}"])
        assert run.wait(timeout=100).state == "succeeded"
        rows = [json.loads(line) for line in home.find("live").metrics_jsonl.read_text().splitlines()]
        assert rows[-1]["steps"] >= steps + 2000
    finally:
        run.delete()
