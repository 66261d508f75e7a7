"""`surreal record`: a mixture of policies becomes a dataset that minari reads, the same after an interruption."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from click.testing import CliRunner
from gymnasium import spaces
from minari.dataset.minari_dataset import MinariDataset as Theirs

from surreal.algorithms.datasets.minari import MinariDataset
from surreal.algorithms.exporting.record import Behaviour, Recording, record
from surreal.algorithms.policies import load_policy
from surreal.cli.commands.policy.record import command
from surreal.orchestrator.client import Run
from surreal.orchestrator.run.home import copy_files
from surreal.protocol.errors import InvalidInput, NotFound
from tests.algorithms.saved import save_ppo

MIX = ("--checkpoint", "last=0.5", "--checkpoint", "random=0.5")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with one checkpoint of a policy for CartPole."""
    env = gymnasium.make("CartPole-v1")
    return save_ppo(tmp_path / "cart", env, "CartPole-v1")


def test_a_mixture_is_recorded_with_its_provenance_and_minari_reads_it(tmp_path: Path, run: Path) -> None:
    to = tmp_path / "mix"
    found = CliRunner().invoke(command, [str(run), "--to", str(to), "--episodes", "12", *MIX, "--noise", "0.2"])
    assert found.exit_code == 0, found.output
    assert "12 episodes" in found.output
    theirs = Theirs(to / "data")
    assert theirs.total_episodes == 12
    assert theirs.env_spec.id == "CartPole-v1"
    assert isinstance(theirs.action_space, spaces.Discrete)
    about = MinariDataset(str(to)).about.provenance
    assert [each["weight"] for each in about["mixture"]] == [0.5, 0.5]
    assert about["noise"] == 0.2
    assert "surreal" in about["versions"]


def test_probabilities_of_choices_are_recorded(tmp_path: Path, run: Path) -> None:
    policy = load_policy(run)
    settings = Recording(tmp_path / "x", "tests/x-v0", episodes=6, noise=0.5, seed=3)
    record([Behaviour("cart", policy)], {"id": "CartPole-v1"}, settings)
    found = MinariDataset(str(tmp_path / "x"))
    for number in range(6):
        episode = found[number]
        greedy = np.asarray(policy(episode.observations[:-1])) == episode.actions
        assert np.allclose(np.exp(episode.behaviour["log_probabilities"]), np.where(greedy, 0.75, 0.25))


def test_an_interrupted_recording_becomes_the_same_dataset(tmp_path: Path) -> None:
    def stop(episodes: int, steps: int) -> None:
        if episodes == 3:
            raise KeyboardInterrupt

    mixture, env = [Behaviour("random", None)], {"id": "Pendulum-v1"}
    one, other = (Recording(tmp_path / name, "tests/x-v0", steps=1_000) for name in ("one", "other"))
    record(mixture, env, one)
    with pytest.raises(KeyboardInterrupt):
        record(mixture, env, other, say=stop)
    record(mixture, env, other)
    first, second = MinariDataset(str(one.folder)), MinariDataset(str(other.folder))
    assert len(first) == len(second) == 5
    assert all(np.array_equal(first[n].observations, second[n].observations) for n in range(5))
    assert all(np.array_equal(first[n].actions, second[n].actions) for n in range(5))


@pytest.mark.parametrize("word", ["last", "20", "replay", "best=0.5"])
def test_checkpoints_of_a_run_elsewhere_are_brought_here_as_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    there = save_ppo(tmp_path / "there", gymnasium.make("CartPole-v1"), "CartPole-v1") / "checkpoints"
    shutil.copytree(there / "step-000000000020", there / "best-000000000020")
    place = SimpleNamespace(remote=True, fetch=lambda name, below, to: copy_files(there.parent, below, to))
    run = SimpleNamespace(name="cart", backend=place, status=lambda: None)
    monkeypatch.setattr(Run, "find", lambda *_: run)
    words = ["cart", "--on", "kube", "--to", str(tmp_path / "data"), "--episodes", "1", "--checkpoint", word]
    done = CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)
    assert "1 episodes" in done.output


def test_a_checkpoint_alone_is_recorded_and_an_exported_policy_refused(tmp_path: Path, run: Path) -> None:
    alone = shutil.copytree(run / "checkpoints" / "step-000000000020", tmp_path / "alone")
    CliRunner().invoke(command, [str(alone), "--to", str(tmp_path / "data"), "--episodes", "1"], catch_exceptions=False)
    assert len(MinariDataset(str(tmp_path / "data"))) == 1
    exported = tmp_path / "cart.npz"
    exported.touch()
    with pytest.raises(InvalidInput, match="cart.npz: an exported policy records nothing. Name its run, or a"):
        CliRunner().invoke(
            command,
            [str(exported), "--to", str(tmp_path / "more"), "--episodes", "1"],
            catch_exceptions=False,
            standalone_mode=False,
        )


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (["--checkpoint", "worst"], InvalidInput, "'worst' names no policy. Give best, last"),
        (
            ["--checkpoint", "best=0.5"],
            NotFound,
            "evaluation has finished. Its newest checkpoint is of step 20. Give --",
        ),
        (["--checkpoint", "12345"], NotFound, "has no such checkpoint. Its steps are:"),
        (["--checkpoint", "last=many"], InvalidInput, "'many' is no weight"),
        (["--checkpoint", "random"], InvalidInput, "random alone names no environment"),
        (["--checkpoint", "last=-1"], InvalidInput, "make no mixture"),
        (["--policy", "last", "--steps", "10"], InvalidInput, "give it or --steps, one of them"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, run: Path, arguments: list[str], error: type[Exception], text: str
) -> None:
    found = CliRunner().invoke(command, [str(run), "--to", str(tmp_path / "x"), "--episodes", "2", *arguments])
    assert isinstance(found.exception, error)
    assert text in str(found.exception)
