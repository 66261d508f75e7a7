"""Blocks of docs/api.md run as they stand, in order, as one program; those that need a cluster are compiled only."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import surreal

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
BLOCK = re.compile(r"^```python *([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks() -> list[tuple[str, str]]:
    """Info (empty, `cluster`, `policy` or a file name) and code of every block."""
    found = BLOCK.findall(PAGE.read_text())
    assert len(found) > 8
    return found


def test_every_public_name_is_on_the_page() -> None:
    text = PAGE.read_text()
    own = "\n".join(code for _, code in blocks())
    missing = [name for name in surreal.__all__ if f"surreal.{name}" not in text and not re.search(rf"\b{name}\b", own)]
    assert missing == []


@pytest.mark.timeout(400)
def test_the_page_runs_from_top_to_bottom(tmp_path: Path) -> None:
    policies = find_spec("surreal.algorithms.policies") is not None
    program = []
    for info, code in blocks():
        if info.endswith(".py"):
            (tmp_path / info).write_text(code)
        elif info == "cluster" or (info == "policy" and not policies):
            compile(code, str(PAGE), "exec")
        else:
            program.append(code)
    (tmp_path / "page.py").write_text("\n".join(program))
    environment = {**os.environ, "SURREAL_HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "page.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=380, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
