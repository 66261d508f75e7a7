"""The offline suite: a wall between tuning and held-out tasks, scores that are normalised, data from stored seeds."""

import json
import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from click.testing import CliRunner

from surreal.algorithms.datasets.minari import MinariDataset
from surreal.cli.commands.experiment.offline import command
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.offline import tasks
from surreal.orchestrator.offline.generate import generate
from surreal.orchestrator.offline.scores import (
    SCORES,
    Score,
    best_point,
    normalised,
    note_reference,
    references,
    report,
)
from surreal.orchestrator.offline.suite import run_suite
from surreal.orchestrator.offline.tasks import SOURCES, check_tuning, chosen
from surreal.orchestrator.run.home import new_folder
from surreal.protocol.errors import InvalidInput
from tests.algorithms.saved import save_ppo

METHOD = Path(__file__).parents[3] / "examples" / "pendulum-bc.yaml"


def test_every_environment_stands_on_one_side_of_the_wall() -> None:
    tuning, held = ({each.source.name for each in chosen([side])} for side in ("tuning", "held-out"))
    assert tuning and held and not tuning & held
    assert len(chosen(["cartpole"])) == 6
    assert [each.name for each in chosen(["hopper/medium-replay"])] == ["hopper/medium-replay"]
    with pytest.raises(InvalidInput, match=r"'hoper' is no task"):
        chosen(["hoper"])


def test_a_held_out_task_that_values_are_to_be_chosen_on_is_refused(tmp_path: Path) -> None:
    check_tuning(chosen(["tuning"]))
    arguments = ["suite", str(METHOD), "--task", "cartpole/noise-0.3", "--data", str(tmp_path)]
    found = CliRunner().invoke(command, [*arguments, "--grid", "spec.algorithm.config.learning_rate=1e-3,1e-4"])
    assert isinstance(found.exception, InvalidInput)
    assert "'cartpole/noise-0.3' is held out" in str(found.exception)


def test_a_report_that_could_not_be_written_is_refused_before_anything_starts(tmp_path: Path) -> None:
    arguments = ["suite", str(METHOD), "--task", "catch", "--data", str(tmp_path), "--report"]
    for place in (tmp_path, tmp_path / "none" / "bc.json"):
        found = CliRunner().invoke(command, [*arguments, str(place)])
        assert isinstance(found.exception, InvalidInput)
        assert f"--report: '{place}' is no file in a folder that is there" in str(found.exception)


def test_data_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no reference of 'catch'. Run surreal offline generate"):
        run_suite(METHOD, tmp_path, chosen(["catch"]), 1)


def test_a_run_that_was_made_with_other_values_is_no_score_of_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    (task,) = chosen(["catch/noise-0.1"])
    (tmp_path / task.name / "data").mkdir(parents=True)
    (tmp_path / task.name / "data" / "metadata.json").write_text("{}")
    note_reference(tmp_path, "catch", {"random": 0.0, "expert": 1.0})
    before = load_experiment(
        METHOD, [f"spec.env.id={task.source.env}", f"spec.algorithm.config.dataset={tmp_path / task.name}"]
    )
    folder = new_folder("pendulum-bc-catch-noise-0-1-s1")
    folder.make()
    folder.experiment.write_text(
        before.to_yaml().replace("name: pendulum-bc", f"name: {folder.name}").replace("20000", "700")
    )
    with pytest.raises(InvalidInput, match=r"total_steps: the run .*-s1 was made with 700, .* would be with 20000"):
        run_suite(METHOD, tmp_path, [task], 1)


def test_every_run_has_a_name_of_its_own_that_a_run_may_have() -> None:
    grid = [f"learning_rate-{value}" for value in (1e-3, 1e-4)]
    texts = [
        f"pendulum-td3bc-{task.name}-{values}-s{seed}" for task in tasks.TASKS for values in grid for seed in (1, 2)
    ]
    names = [tasks.run_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name) for name in names)
    assert tasks.run_name("bc-catch/noise-0.1-s1") == "bc-catch-noise-0-1-s1"


def test_the_data_of_a_seed_is_the_same_and_noise_lowers_its_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tasks.Source("catch", SOURCES[0].env, "tuning", 101, episodes=40)
    own = [tasks.Task(few, f"noise-{noise}") for noise in (0.0, 0.5)]
    monkeypatch.setattr(tasks, "TASKS", tuple(own))
    for name in ("one", "two"):
        generate(own, tmp_path / name)
    returns = []
    for task in own:
        first, second = (MinariDataset(str(tmp_path / name / task.name)) for name in ("one", "two"))
        assert all(np.array_equal(first[n].actions, second[n].actions) for n in range(40))
        returns.append(np.mean([first[n].rewards.sum() for n in range(40)]))
    assert returns[0] == 1.0 > returns[1]
    random, expert = references(tmp_path / "one", "catch")
    assert random < 0.2 < expert == 1.0
    assert json.loads((tmp_path / "one" / SCORES).read_text()).keys() == {"catch"}


def test_a_run_whose_policies_a_task_cannot_have_is_refused(tmp_path: Path) -> None:
    run = save_ppo(tmp_path / "run", gymnasium.make("Pendulum-v1"), "Pendulum-v1")
    (run / "metrics").mkdir()
    (run / "metrics" / "metrics.jsonl").write_text("")
    with pytest.raises(InvalidInput, match=r"run was trained in Pendulum-v1, and hopper is Hopper-v5"):
        generate(chosen(["hopper"]), tmp_path / "data", str(run))
    with pytest.raises(InvalidInput, match=r"run was never evaluated, so none of its policies is medium"):
        generate(chosen(["pendulum"]), tmp_path / "data", str(run))


def test_scores_are_normalised_and_last_and_best_stay_apart() -> None:
    assert normalised(30.0, (10.0, 60.0)) == 40.0
    scores = [Score(task, seed, "{}", 10.0 * seed, 20.0 * seed) for task in ("a", "b") for seed in (1, 2, 3, 4)]
    found = report(scores)
    assert found["tasks"]["a"] == {"last": 25.0, "best": 50.0, "seeds": 4}
    assert found["all"]["last"]["iqm"] == 25.0
    assert found["all"]["best"]["iqm"] == 50.0
    low, high = found["all"]["last"]["interval"]
    assert low < 25.0 < high
    assert best_point([Score("a", 1, '{"x": 1}', 5.0, 99.0), Score("a", 1, '{"x": 2}', 6.0, 7.0)]) == '{"x": 2}'


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_method_is_tuned_on_tuning_tasks_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    (task,) = chosen(["catch/noise-0.1"])
    generate([task], tmp_path / "data")
    file = tmp_path / "bc.yaml"
    text = METHOD.read_text().replace("total_steps: 20_000", "total_steps: 600")
    file.write_text(text)
    found = run_suite(file, tmp_path / "data", [task], 1, {"spec.algorithm.config.learning_rate": [1e-3, 1e-7]})
    assert found["chosen"] == {"spec.algorithm.config.learning_rate": 1e-3}
    assert found["tuned_on"] == ["catch/noise-0.1"]
    assert max(row["last"] for row in found["runs"]) > 80
