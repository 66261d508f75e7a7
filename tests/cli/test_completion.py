"""What the shell offers at the tab key."""

import os
import subprocess
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from tests.cli.terminal import SURREAL
from tests.orchestrator.runs import plan


def test_the_shell_completes_names_and_never_sees_an_error(place: LocalBackend, tmp_path: Path) -> None:
    for name in ("cheetah-ppo", "cheetah-two", "hopper"):
        home.new_folder(name).make()
    asked = {"_SURREAL_COMPLETE": "bash_complete", "COMP_WORDS": "surreal status che", "COMP_CWORD": "2"}
    (tmp_path / "file").touch()
    for where, expected in (("home", ["plain,cheetah-ppo", "plain,cheetah-two"]), ("file", [])):
        variables = {**os.environ, **asked, "SURREAL_HOME": str(tmp_path / where)}
        answer = subprocess.run(SURREAL, env=variables, capture_output=True, text=True, check=True)
        assert (answer.stdout.split(), answer.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("surreal logs toy ", ["actor", "learner", "evaluator"]),
        ("surreal exec toy a", ["actor"]),
        ("surreal port-forward toy actor/", ["actor/0", "actor/1"]),
        ("surreal logs toy nobody/", []),
        ("surreal logs gone ", []),
        ("surreal list --on ", ["local", "kube", "ray"]),
        ("surreal list --on k", ["kube"]),
    ],
)
def test_the_shell_completes_processes_and_backends(words: str, offered: list[str], place: LocalBackend) -> None:
    folder = home.new_folder("toy")
    folder.make()
    folder.plan.write_text(plan("toy").to_json())
    count = str(len(words.split(" ")) - 1)
    asked = {"_SURREAL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    answer = subprocess.run(SURREAL, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert (answer.stdout.split(), answer.stderr) == ([f"plain,{each}" for each in offered], "")
