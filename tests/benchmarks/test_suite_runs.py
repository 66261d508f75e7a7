"""Does a suite that is cut go on without running anything twice or losing anything, and does it keep what failed?"""

import json
import os
import shlex
import shutil
import signal
from pathlib import Path

import pytest
import yaml

from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision.record import RunRecord
from tests.benchmarks.suites import Suite

pytestmark = pytest.mark.timeout(300)
SMALL = ("--tasks", "CartPole-v1", "--copies", "2", "--actors", "1", "--episodes", "2")
BROKEN = """
import gymnasium


class Broken(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        return self.observation_space.sample(), {}

    def step(self, action):
        raise ValueError("its simulator is not installed")


gymnasium.register("Broken-v0", Broken)
"""


def test_a_suite_that_is_killed_runs_no_finished_run_again_and_loses_none(suite: Suite) -> None:
    words = (*SMALL, "--steps", "4000", "--seeds", "1", "2")
    first = suite.start(*words)
    suite.until(suite.rows / "ppo-cartpole-v1-4000-1.json", "succeeded")
    suite.until(suite.metrics("ppo-cartpole-v1-4000-2").parents[1] / "status.json")
    # it writes nothing any more, while the second run goes on by itself
    first.send_signal(signal.SIGSTOP)
    suite.until(suite.metrics("ppo-cartpole-v1-4000-2"))
    first.kill()
    first.communicate()
    kept = (suite.rows / "ppo-cartpole-v1-4000-1.json").read_bytes()
    done = suite(*words)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 runs to do" in done.stderr
    assert (suite.rows / "ppo-cartpole-v1-4000-1.json").read_bytes() == kept
    assert suite.row("ppo-cartpole-v1-4000-2")["outcome"] == "succeeded"
    again = suite(*words)
    assert "0 of 2 runs to do" in again.stderr


@pytest.mark.slow
def test_a_run_that_is_cut_by_ctrl_c_goes_on_from_its_checkpoint(suite: Suite) -> None:
    words = (*SMALL, "--steps", "30000", "--seeds", "1")
    first = suite.start(*words)
    suite.until(suite.metrics("ppo-cartpole-v1-30000-1"), "episode_return")
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 6, said
    assert "the same command goes on" in said
    assert not (suite.rows / "ppo-cartpole-v1-30000-1.json").exists()
    done = suite(*words)
    assert done.returncode == 0, done.stderr
    log = (suite.metrics("ppo-cartpole-v1-30000-1").parents[1] / "logs").glob("learner-0.*.log")
    assert any("resumed from step" in file.read_text() for file in log)
    assert suite.row("ppo-cartpole-v1-30000-1")["steps"] >= 30000


def test_a_run_that_is_killed_from_outside_is_no_failed_seed(suite: Suite) -> None:
    running = suite.start(*SMALL, "--steps", "100000000", "--seeds", "1")
    suite.until(suite.metrics("ppo-cartpole-v1-100000000-1"))
    supervisor = RunRecord.read(Folder(suite.metrics("ppo-cartpole-v1-100000000-1").parents[1])).supervisor
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 6, said
    assert "the same command goes on" in said
    assert list(suite.rows.glob("*")) == []


def test_a_suite_whose_minutes_are_up_stops_what_runs(suite: Suite) -> None:
    words = (*SMALL, "--steps", "100000000", "--seeds", "1", "2", "--minutes", "0.05")
    done = suite(*words)
    assert done.returncode == 6, done.stderr
    # the second never began, and is told of by the last line alone
    assert done.stderr.count(": cut\n") == 1
    assert done.stderr.endswith("2 runs are left; the same command goes on\n")
    assert list(suite.rows.glob("*")) == []


def test_a_suite_that_is_cut_before_its_first_row_can_go_on(suite: Suite, tmp_path: Path) -> None:
    words = (*SMALL, "--steps", "100000000", "--seeds", "1", "--minutes", "0.02", "--report", str(tmp_path / "page.md"))
    done = suite(*words)
    assert done.returncode == 6 and "1 run is left; the same command goes on\n" in done.stderr
    assert done.stderr.endswith("no run is over yet, so there is no page\n") and not (tmp_path / "page.md").exists()


@pytest.mark.parametrize("option", ["--report", "--keep", "--rows"])
def test_a_file_that_cannot_be_is_refused_before_the_first_run(suite: Suite, tmp_path: Path, option: str) -> None:
    done = suite(*SMALL, "--seeds", "1", option, str(tmp_path / "none" / "page.md"))
    assert done.returncode == 2 and f"suite: {option}: " in done.stderr and "to do" not in done.stderr


def test_a_run_that_is_deleted_while_the_suite_waits_is_no_failed_seed(suite: Suite) -> None:
    running = suite.start(*SMALL, "--steps", "100000000", "--seeds", "1")
    suite.until(suite.metrics("ppo-cartpole-v1-100000000-1"))
    suite.clear()
    _, said = running.communicate(timeout=120)
    assert running.returncode == 6 and "Traceback" not in said and "1 run is left" in said
    assert list(suite.rows.glob("*")) == []


def test_a_run_whose_creation_was_cut_is_made_anew(suite: Suite) -> None:
    words = (*SMALL, "--steps", "2000", "--seeds", "1")
    files, name = suite.home / "surreal" / "files", "ppo-cartpole-v1-2000-1"
    assert suite(*words).returncode == 0
    suite.clear()
    (suite.rows / f"{name}.json").unlink()
    # as it is where a reboot ended everything: the file, and a folder with nothing in it
    suite.metrics(name).parents[1].mkdir()
    assert (files / f"{name}.yaml").exists()
    done = suite(*words)
    assert done.returncode == 0 and suite.row(name)["outcome"] == "succeeded", done.stderr


def test_a_file_that_cannot_be_written_ends_the_suite_with_its_name(suite: Suite) -> None:
    (suite.rows / "ppo-cartpole-v1-2000-1.json").mkdir(parents=True)
    done = suite(*SMALL, "--steps", "2000", "--seeds", "1", "2")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "ppo-cartpole-v1-2000-1.json: Is a directory" in done.stderr
    assert not (suite.rows / "ppo-cartpole-v1-2000-2.json").exists()


def test_last_weights_that_cannot_be_evaluated_are_a_failed_run(suite: Suite) -> None:
    words, name = (*SMALL, "--steps", "2000", "--seeds", "1"), "ppo-cartpole-v1-2000-1"
    assert suite(*words).returncode == 0
    metrics = suite.metrics(name)
    metrics.write_text(
        "".join(row for row in metrics.read_text().splitlines(keepends=True) if "eval_return" not in row)
    )
    for checkpoint in (metrics.parents[1] / "checkpoints").glob("step-*"):
        shutil.rmtree(checkpoint)
    (suite.rows / f"{name}.json").unlink()
    assert suite(*words).returncode == 0
    row = suite.row(name)
    assert row["outcome"] == "failed" and row["reason"].startswith("its last weights could not be evaluated: ")


def test_a_run_that_fails_is_kept_with_its_reason_and_not_run_again(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    words = ("--tasks", "CartPole-v1", "broken:Broken-v0", *SMALL[2:], "--steps", "2000", "--seeds", "1")
    done = suite(*words, "--parallel", "2")
    assert done.returncode == 0, done.stderr
    row = suite.row("ppo-broken-broken-v0-2000-1")
    assert row["outcome"] == "failed"
    assert "its simulator is not installed" in row["reason"]
    assert suite.row("ppo-cartpole-v1-2000-1")["outcome"] == "succeeded"
    assert "0 of 2 runs to do" in suite(*words).stderr


def test_a_wrong_setting_stops_the_suite_and_leaves_no_row(suite: Suite) -> None:
    done = suite(*SMALL, "--contestants", "odd=ppo:gama=0.9", "--steps", "2000", "--seeds", "1")
    assert done.returncode == 2
    assert "gama" in done.stderr and "Traceback" not in done.stderr
    assert list(suite.rows.glob("*")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tasks", "CartPole-v1", "--contestants", "ppo", "odd=ppo:epochs=0"), "epochs: "),
        (("--tasks", "CartPole-v1", "Pendulum-v1", "--contestants", "dqn"), "dqn-pendulum-v1-2000-1: "),
        (("--tasks", "CartPole-v1", "Foo-v7"), "suite: ppo-foo-v7-2000-1: --tasks: no environment 'Foo-v7'"),
    ],
)
def test_the_whole_table_is_checked_before_the_first_run(suite: Suite, words: tuple[str, ...], said: str) -> None:
    done = suite(*words, *SMALL[2:], "--steps", "2000", "--seeds", "1")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert not list(suite.rows.glob("*")) and not list((suite.home / "surreal" / "experiments").glob("*"))


def test_the_command_of_a_row_can_be_pasted_and_is_the_row_of_a_command_that_could_not(suite: Suite) -> None:
    words = (*SMALL, "--steps", "2000", "--seeds", "1", "--contestants", "net=ppo:network={policy: [8]},epochs=2")
    assert suite(*words).returncode == 0
    row = suite.row("net-cartpole-v1-2000-1")
    again = suite(*shlex.split(row["command"])[4:])
    assert again.returncode == 0 and "0 of 1 runs to do" in again.stderr, again.stderr
    plain = row["command"].replace("'", "")
    assert plain != row["command"]
    (suite.rows / "net-cartpole-v1-2000-1.json").write_text(json.dumps(row | {"command": plain}))
    again = suite(*words)
    assert again.returncode == 0 and "0 of 1 runs to do" in again.stderr, again.stderr


def test_a_run_of_other_settings_is_not_taken_for_the_one_that_is_asked_for(suite: Suite) -> None:
    words = (*SMALL, "--steps", "2000", "--seeds", "1")
    assert suite(*words, "--contestants", "short=ppo:gamma=0.9").returncode == 0
    for contestant in ("short=ppo:gamma=0.5", "short=impala:gamma=0.9"):
        done = suite(*words, "--contestants", contestant)
        assert done.returncode == 2 and "row of other settings" in done.stderr and "gamma=0.9" in done.stderr
    (suite.rows / "short-cartpole-v1-2000-1.json").unlink()
    done = suite(*words, "--contestants", "short=ppo:gamma=0.5")
    assert done.returncode == 2 and "begun with other settings" in done.stderr
    assert list(suite.rows.glob("*")) == []
    assert suite(*words, "--contestants", "short=ppo:gamma=0.9").returncode == 0


def test_a_further_seed_of_a_name_with_other_settings_or_episodes_is_refused_before_it_runs(suite: Suite) -> None:
    words = (*SMALL, "--steps", "2000", "--contestants")
    assert suite(*words, "short=ppo:gamma=0.9", "--seeds", "1").returncode == 0
    done = suite(*words, "short=ppo:gamma=0.5", "--seeds", "2")
    said = "short is short=ppo:gamma=0.9 in a row there, and short=ppo:gamma=0.5 now"
    assert done.returncode == 2 and said in done.stderr
    done = suite(*words, "short=ppo:gamma=0.9", "--seeds", "2", "--episodes", "3")
    assert done.returncode == 2 and "--episodes: rows of short there have 'deterministic, mean of 2 epi" in done.stderr
    done = suite(*words, "other=ppo:gamma=0.9", "--seeds", "1", "--episodes", "3")
    assert done.returncode == 2 and "--episodes: rows of short there have" in done.stderr, "one page has both"
    for layout in (("--copies", "4"), ("--actors", "2")):
        done = suite(*words, "short=ppo:gamma=0.9", "--seeds", "2", *layout)
        assert done.returncode == 2 and "short has --copies 2 --actors 1 in a row there, and --copies " in done.stderr
    assert [file.stem for file in suite.rows.glob("*")] == ["short-cartpole-v1-2000-1"]


def test_a_second_suite_in_one_home_is_refused_while_the_first_works(suite: Suite) -> None:
    words = (*SMALL, "--steps", "100000000", "--seeds", "1")
    first = suite.start(*words)
    suite.until(suite.metrics("ppo-cartpole-v1-100000000-1"))
    second = suite(*words)
    assert second.returncode == 2 and "another suite works on" in second.stderr
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=120)
    assert first.returncode == 6


@pytest.mark.parametrize(
    "words", [("--steps", "0"), ("--seeds", "-1"), ("--parallel", "0"), ("--every", "nan"), ("--minutes", "-5")]
)
def test_a_number_that_is_none_is_refused_before_anything_runs(suite: Suite, words: tuple[str, str]) -> None:
    done = suite(*SMALL, *words)
    assert done.returncode == 2 and f"argument {words[0]}" in done.stderr and "Traceback" not in done.stderr
    assert not suite.rows.exists()


def test_a_row_tells_the_three_figures_apart_and_how_it_was_made(suite: Suite) -> None:
    done = suite(*SMALL, "--contestants", "fast=ppo:epochs=2", "--steps", "12000", "--seeds", "4")
    assert done.returncode == 0, done.stderr
    row = suite.row("fast-cartpole-v1-12000-4")
    assert set(row["figures"]) == set(row["conventions"]) == {"training", "last", "best"}
    assert row["figures"]["best"] >= row["figures"]["last"] > 0
    assert "--contestants fast=ppo:epochs=2 --seeds 4 --steps 12000 --copies 2" in row["command"]
    assert row["versions"]["gymnasium"]
    steps = [point[0] for point in row["curve"]]
    assert steps == sorted(steps) and steps[-1] == row["steps"] >= 12000
    file = yaml.safe_load((suite.home / "surreal" / "files" / "fast-cartpole-v1-12000-4.yaml").read_text())
    assert set(file["spec"]["algorithm"]["config"]) == {
        *("total_steps", "evaluate_episodes", "evaluate_every_seconds", "return_window")
    }


def test_last_weights_that_no_evaluator_came_to_are_evaluated_from_their_checkpoint(suite: Suite) -> None:
    words = (*SMALL, "--steps", "2000", "--seeds", "1")
    assert suite(*words).returncode == 0
    expected = suite.row("ppo-cartpole-v1-2000-1")["figures"]["last"]
    metrics = suite.metrics("ppo-cartpole-v1-2000-1")
    rows = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(row for row in rows if "eval_return" not in row))
    (suite.rows / "ppo-cartpole-v1-2000-1.json").unlink()
    done = suite(*words)
    assert done.returncode == 0, done.stderr
    figures = suite.row("ppo-cartpole-v1-2000-1")["figures"]
    assert (figures["last"], figures["best"]) == (pytest.approx(expected), figures["last"])
