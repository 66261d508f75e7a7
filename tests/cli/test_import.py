"""`surreal import zoo` prints or writes an experiment file."""

from pathlib import Path

from click.testing import CliRunner

from surreal.cli.main import cli

ENTRY = "CartPole-v1: {n_steps: 64, batch_size: 32, use_rms_prop: true}\n"


def test_the_file_is_printed_and_what_is_missing_is_said_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "ppo.yml").write_text(ENTRY)
    result = CliRunner().invoke(cli, ["import", "zoo", str(tmp_path / "ppo.yml"), "--env", "CartPole-v1"])
    assert result.exit_code == 0
    assert result.stdout.startswith("# From CartPole-v1 of ppo.yml, by `surreal import zoo`.\n# Not translated:")
    assert "fragment_steps: 64" in result.stdout
    assert "not translated: use_rms_prop: True" in result.stderr


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "ppo.yml").write_text(ENTRY)
    arguments = ["import", "zoo", str(tmp_path / "ppo.yml"), "--env", "CartPole-v1", "--out", str(tmp_path / "e.yaml")]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert "CartPole-v1" in (tmp_path / "e.yaml").read_text()
    again = CliRunner().invoke(cli, arguments)
    assert "e.yaml' is there already. Name a new file." in str(again.exception)


def test_a_file_that_is_not_there_is_named_before_its_algorithm(tmp_path: Path) -> None:
    missing = tmp_path / "nosuch.yml"
    done = CliRunner().invoke(cli, ["import", "zoo", str(missing), "--env", "A"])
    assert str(done.exception) == f"{missing}: no such file. Name one that is there."
