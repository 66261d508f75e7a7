"""The table of `surreal list` on a terminal of 80 columns."""

import pytest

from surreal.cli.commands.run.list import _table
from surreal.cli.ui.output import show
from surreal.orchestrator.run.status import Status
from surreal.protocol.telemetry.gauges import Progress


@pytest.mark.parametrize("steps", [0, 412_345, 1_000_000])
def test_a_run_is_one_line_of_at_most_eighty_columns(
    steps: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    progress = Progress(steps=steps, total_steps=1_000_000, steps_per_second=12_345.0, episode_return=-1_234.5)
    runs = [Status(f"cheetah-ppo-1201-05024{n}", "local", "/f", "succeeded", progress=progress) for n in range(3)]
    show(_table(runs, [], everywhere=False))
    header, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == len(runs) and max(map(len, (header, *rows))) <= 80
    assert all(f"{steps:,} ({steps // 10_000}%)" in row for row in rows)
