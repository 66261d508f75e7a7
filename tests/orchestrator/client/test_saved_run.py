"""Runs that are loaded from a folder, a URL or a name, and folders that are none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import surreal
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.results import Metrics, read_metrics
from surreal.orchestrator.saved_run import SavedRun
from surreal.protocol.errors import InvalidInput, NotFound

ROWS = [
    {"time": 1.0, "role": "learner/0", "steps": 100, "loss": 0.5, "episode_return": None},
    {"time": 2.0, "role": "learner/0", "steps": 200, "loss": 0.25, "episode_return": 9.0},
    {"time": 2.5, "role": "evaluator/0", "steps": 150, "eval_return": 12.0},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder with metrics and no policy yet."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    layout = Folder(tmp_path / "renamed")
    layout.make()
    lines = [json.dumps(row) for row in ROWS]
    layout.metrics_jsonl.write_text("\n".join(lines) + '\n{"time": 3.0, "role": "lea')
    layout.plan.write_text(json.dumps({"name": "cheetah"}))
    return layout.path


def test_metrics_of_a_folder_are_columns_with_the_steps_at_which_they_were_written(folder: Path) -> None:
    run = surreal.load(folder)
    assert isinstance(run, SavedRun) and run.name == "cheetah"
    metrics = run.metrics()
    assert metrics["loss"] == [0.5, 0.25]
    assert metrics["episode_return"][-1] == 9.0
    assert metrics.series("eval_return", role="evaluator") == ([150], [12.0])
    assert metrics.series("loss", role="actor") == ([], [])
    assert metrics.rows == ROWS
    assert "eval_return" in metrics and "lost" not in metrics
    assert metrics.get("lost") is None and metrics.get("loss") == [0.5, 0.25]


def test_a_number_that_is_not_there_is_told_with_those_that_are(folder: Path) -> None:
    metrics = surreal.load(folder).metrics()
    for ask in (metrics.__getitem__, metrics.series):
        with pytest.raises(NotFound) as refused:
            ask("los")
        assert str(refused.value).startswith("metrics: no number 'los' (did you mean 'loss'?). There are: ")
        assert "episode_return" in str(refused.value)
    with pytest.raises(KeyError, match=r"^metrics: no number 'loss'\. There are none yet"):
        Metrics([])["loss"]


def test_a_folder_without_metrics_has_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "none.jsonl").rows == []


def test_a_url_is_downloaded(folder: Path) -> None:
    run = surreal.load(f"file://{folder}")
    assert isinstance(run, SavedRun) and run.folder != folder
    assert run.metrics()["loss"] == [0.5, 0.25]


def test_a_url_without_files_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="there are no files of a run"):
        surreal.load(f"file://{tmp_path}/empty")


def test_a_folder_that_is_no_run_is_refused_with_a_run_that_is_near(folder: Path) -> None:
    (folder / "checkpoints" / "step-000000000100").mkdir()
    with pytest.raises(InvalidInput, match=f"this is no run folder. Perhaps you mean {folder}"):
        surreal.load(folder.parent)
    shutil.rmtree(folder)
    with pytest.raises(InvalidInput, match="A run folder has checkpoints/ and metrics/ in it"):
        surreal.load(folder.parent)


@pytest.mark.parametrize("source", ["runs/none", Path("none")])
def test_a_folder_that_is_not_there_is_not_found(source: "str | Path") -> None:
    with pytest.raises(NotFound, match="there is no such folder"):
        surreal.load(source)


def test_a_name_that_no_run_has_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFound, match="no experiment 'cheetah'"):
        surreal.load("cheetah")


def test_a_run_without_a_policy_says_what_to_do(folder: Path) -> None:
    run = surreal.load(folder)
    with pytest.raises(NotFound, match="no best policy: no evaluation has finished, and no checkpoint is saved. Wait"):
        run.policy()
    with pytest.raises(NotFound, match="has no checkpoint yet. Wait for a checkpoint"):
        run.policy("last")
    with pytest.raises(InvalidInput, match="'worst' is no policy of a run. Use 'best' or 'last'"):
        run.policy("worst")  # type: ignore[arg-type]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A short real run that has saved a policy."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    small = surreal.PPO(total_steps=1_000, fragment_steps=32)
    surreal.train("CartPole-v1", small, actors=1, name="pole")
    return Folder(tmp_path / "home" / "experiments" / "pole")


def test_a_policy_is_the_same_by_name_by_folder_and_on_another_machine(trained: Folder, tmp_path: Path) -> None:
    observations = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    wanted = surreal.Run.find("pole").policy("last")(observations)
    assert wanted.shape == (16,) and set(wanted) <= {0, 1}
    moved = tmp_path / "elsewhere"
    trained.path.rename(moved)
    for source in (moved, f"file://{moved}", max((moved / "checkpoints").glob("step-*"))):
        found = surreal.load(source)
        assert isinstance(found, SavedRun)
        assert (found.policy("last")(observations) == wanted).all()
    result = surreal.evaluate(surreal.load(moved).policy("last"), "CartPole-v1", episodes=2, seed=3)
    assert len(result.returns) == len(result.lengths) == 2 and result.mean > 0
    again = surreal.evaluate(surreal.load(moved).policy("last"), "CartPole-v1", episodes=2, seed=3)
    assert again == result


def test_a_damaged_checkpoint_and_one_of_a_later_format_are_refused_by_name(trained: Folder) -> None:
    newest = max(trained.checkpoints.glob("step-*"))
    manifest = newest / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(json.dumps({**json.loads(text), "format": 999}))
    with pytest.raises(InvalidInput, match=f"{newest.name}: checkpoint format 999 is of a later surreal"):
        surreal.load("pole").policy("last")
    manifest.write_text(text)
    tensors = newest / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-4] + b"rot!")
    with pytest.raises(InvalidInput, match=f"{newest.name}: is damaged"):
        surreal.load(trained.path).policy("last")


def test_an_evaluation_refuses_actions_that_do_not_fit_and_clips_those_outside() -> None:
    with pytest.raises(InvalidInput, match=r"policy: actions of shape \[2\] do not fit. Return \[1, ...\] of Discrete"):
        surreal.evaluate(lambda observations: np.zeros(2, int), "CartPole-v1")
    with pytest.raises(InvalidInput, match="episodes: 0 is no number of episodes. Give 1"):
        surreal.evaluate(lambda observations: np.zeros(1, int), "CartPole-v1", episodes=0)
    far = surreal.evaluate(lambda observations: np.full((1, 1), 99.0), "Pendulum-v1", episodes=1)
    edge = surreal.evaluate(lambda observations: np.full((1, 1), 2.0), "Pendulum-v1", episodes=1)
    assert far.returns == pytest.approx(edge.returns)


@pytest.mark.parametrize(
    ("env", "action"), [("CartPole-v1", 7), ("CartPole-v1", "left"), ("Pendulum-v1", ["x"]), ("Pendulum-v1", [np.nan])]
)
def test_an_evaluation_names_an_action_that_is_none_of_the_environment(env: str, action: object) -> None:
    with pytest.raises(InvalidInput, match=r"policy: action .* is not one of (Discrete|Box)\("):
        surreal.evaluate(lambda observations: [action], env, episodes=1)


def test_the_front_door_names_an_argument_that_is_of_no_use(tmp_path: Path) -> None:
    nothing: Any = None
    (tmp_path / "notes.txt").write_text("no run")
    calls: dict[str, Callable[[], object]] = {
        "source: None is no run": lambda: surreal.load(nothing),
        "this is no exported policy": lambda: surreal.load(tmp_path / "notes.txt"),
        "policy: None is no function": lambda: surreal.evaluate(nothing, "CartPole-v1"),
        "env: None is no environment": lambda: surreal.evaluate(len, nothing),
        "policy: <built-in function len> cannot be exported": lambda: surreal.export(cast(Any, len), "a.onnx"),
        "algorithm: None is no algorithm": lambda: surreal.train("CartPole-v1", nothing),
        "spec.env: must be a mapping": lambda: surreal.train(nothing, surreal.PPO()),
    }
    for wrong, call in calls.items():
        with pytest.raises(InvalidInput, match=wrong):
            call()
