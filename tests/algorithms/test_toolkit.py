"""The example of an algorithm of one's own learns with real processes, and its policy is loaded from its folder."""

import ast
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from surreal.algorithms import toolkit
from surreal.algorithms.evaluate import evaluate
from surreal.algorithms.policies import load_policy
from surreal.algorithms.registry import algorithm
from surreal.protocol.errors import InvalidInput

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "algorithms"
PAGE = ROOT / "docs" / "adding-an-algorithm.md"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("steps", "bar"), [(3_000, 5), pytest.param(40_000, 60, marks=pytest.mark.slow)])
def test_the_example_learns_cartpole_from_the_command_line(tmp_path: Path, steps: int, bar: float) -> None:
    surreal = [sys.executable, "-c", "import sys; from surreal.cli.main import main; sys.exit(main())"]
    settings = ["--set", f"spec.algorithm.config.total_steps={steps}"]
    done = subprocess.run(
        [*surreal, "create", str(EXAMPLE / "reinforce.yaml"), *settings],
        env={**os.environ, "SURREAL_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "experiments" / "cartpole-reinforce"
    rows = list(toolkit.read_rows(run))
    assert [row["steps"] for row in rows if row["role"] == "learner/0"][-1] >= steps
    # A policy that does not learn holds the pole for about 20 steps, one after 40,000 steps for hundreds.
    assert max(row["eval_return"] for row in rows if "eval_return" in row) > bar
    best = load_policy(run)
    assert best.about["algorithm"] == "reinforce" and best.about["score"] > bar
    assert evaluate(best, "CartPole-v1", episodes=5).mean > bar
    progress = json.loads((run / "progress.json").read_text())
    assert progress["steps"] >= steps and progress["episode_return"] > min(bar, 20)


def test_every_name_of_the_toolkit_is_there_and_described() -> None:
    assert toolkit.__all__ == sorted(toolkit.__all__, key=lambda name: (not name.isupper(), name))
    for name in toolkit.__all__:
        found = getattr(toolkit, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert inspect.getdoc(found), f"{name} has no documentation"
        assert f"`{name}`" in PAGE.read_text(), f"{PAGE.name} does not name {name}"


def test_the_page_shows_the_example_as_it_is() -> None:
    page, source = PAGE.read_text(), (EXAMPLE / "reinforce.py").read_text()
    tree = ast.parse(source)
    shown = [part.strip() for part in page.split("```python")[1:]]
    code = "\n\n\n".join(part.partition("```")[0].strip() for part in shown)
    for node in tree.body:
        text = ast.get_source_segment(source, node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.Import | ast.ImportFrom):
            assert text is not None and text in code, f"the page lacks {text!r}"


def test_an_experiment_with_a_broken_module_of_ones_own_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import surreal\nraise RuntimeError('no licence')\n")
    with pytest.raises(InvalidInput, match=r"mine\.py:2: RuntimeError: no licence"):
        algorithm("mine:MINE", tmp_path)
