"""The page about the channels: its examples run, are the files in examples/, and need nothing but the protocol."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/channels.md").read_text()
PRINTED = {
    "stream": [f"actor/{i} {step} {{'step': {step}}} {4.0 * step}" for i in range(2) for step in range(3)],
    "broadcast": [f"actor/{i} has version (1, 3): [3. 3.]" for i in range(2)],
    "service": ["[(0, [0, 1, 2]), (1, [1, 2, 3])]"],
    "waiting": ["from actor/0 3.0", "version (1, 1)"],
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_example_of_a_channel_runs_alone(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(ROOT / f"examples/channels/{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == PRINTED[name]


def test_the_page_shows_the_examples_as_they_are() -> None:
    shown = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert shown == [(ROOT / f"examples/channels/{name}.py").read_text() for name in PRINTED]


def test_the_channels_are_imported_when_they_are_asked_for() -> None:
    program = (
        "import sys, surreal.protocol as p; assert 'zmq' not in sys.modules; "
        "assert all(getattr(p, name).__name__ == name for name in p.__all__)"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=200)


def test_what_is_no_channel_is_an_attribute_error() -> None:
    import surreal.protocol

    with pytest.raises(AttributeError, match="no attribute 'Sender'"):
        _ = surreal.protocol.Sender
