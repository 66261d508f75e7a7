"""The example notebook runs, shows a line that keeps up, and leaves no process when its kernel is killed."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from surreal.orchestrator.run import home
from tests.orchestrator.runs import until

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel of the dev group")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first-run.ipynb"
ENDLESS = """
import surreal
run = surreal.train('CartPole-v1', surreal.PPO(total_steps=10**9, numba=False), actors=1, wait=False)
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.timeout(400)
def test_the_example_runs_and_shows_how_far_it_is() -> None:
    book = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    shown = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    displays = [output["data"]["text/plain"] for output in shown if output.output_type == "display_data"]
    assert len(displays) == 1 and "succeeded" in displays[0] and "20," in displays[0]
    assert any("succeeded" in output.get("text", "") for output in shown)
    assert home.names() == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.timeout(200)
def test_no_process_is_left_when_the_kernel_is_killed() -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"{ENDLESS}\nimport os; print(os.getpid())")])
    client = nbclient.NotebookClient(book, timeout=100, kernel_name="python3")
    with client.setup_kernel():
        client.execute_cell(book.cells[0], 0)
        kernel = int(book.cells[0].outputs[-1].text)
        (name,) = home.names()
        folder = home.find(name).path
        until(lambda: running(folder), "the run runs")
        os.kill(kernel, signal.SIGKILL)
        until(lambda: not running(folder), "no process of the run is left")


def running(folder: Path) -> list[int]:
    """Processes of the run in `folder`."""
    lines = {each.pid: " ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])}
    return [pid for pid, line in lines.items() if str(folder) in line]


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")
