"""`surreal calibrate`, and what `surreal plan` predicts from it."""

import json
from pathlib import Path

import pytest

from tests.cli.terminal import surreal

EXAMPLE = Path(__file__).parents[2] / "examples/cartpole-ppo.yaml"


@pytest.mark.slow
def test_a_calibration_of_this_machine_predicts_every_number_of_actors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path))
    done = surreal("calibrate", EXAMPLE, "--seconds", "5", "-o", "json")
    assert done.returncode == 0, done.stderr
    kept = json.loads(done.stdout)
    assert Path(kept["file"]).is_file() and kept["services"].keys() == kept["more"].keys() == {"actor", "learner"}
    assert not surreal("list", "-o", "json").stdout.strip("[]\n ")
    for actors in (1, 3, 16):
        planned = surreal("plan", EXAMPLE, "--what-if", f"actor={actors}", "-o", "json")
        assert planned.returncode == 0, planned.stderr
        found = json.loads(planned.stdout)["prediction"]
        low, high = found["range"]
        assert low < found["steps_per_second"] < high
    # The run of one actor was measured, so that its prediction has no other number to be off from.
    one = json.loads(surreal("plan", EXAMPLE, "--what-if", "actor=1", "-o", "json").stdout)["prediction"]
    assert one["steps_per_second"] == pytest.approx(kept["measured"], rel=0.4)


def test_a_calibration_elsewhere_is_refused_in_words() -> None:
    done = surreal("calibrate", EXAMPLE, "--on", "ray")
    assert done.returncode == 2 and "only this machine can be measured" in done.stderr
