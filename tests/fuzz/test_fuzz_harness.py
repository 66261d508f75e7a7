"""The coverage-guided fuzzer starts, and finds nothing in half a minute."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="needs atheris: pip install atheris")
def test_half_a_minute_of_coverage_guided_fuzzing_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("codec.py")), str(tmp_path / "corpus")]
    limits = ["-max_total_time=30", "-timeout=1", "-rss_limit_mb=256", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command + limits, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-5000:]
