"""The identity of a machine has one home."""

from pathlib import Path

import pytest

from surreal.protocol import machine
from surreal.protocol.machine import boot_id, files_name

ROOT = Path(__file__).parents[2]


def test_the_boot_is_read_in_one_place_and_is_empty_where_the_system_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = ("protocol", "algorithms", "provisioner", "orchestrator", "cli")
    modules = [path for layer in layers for path in (ROOT / layer).rglob("*.py")]
    assert [path.name for path in modules if "random/boot_id" in path.read_text()] == ["machine.py"]
    boot_id.cache_clear()
    monkeypatch.setattr(machine, "BOOT_ID", tmp_path / "none")
    assert boot_id() == files_name() == ""
    boot_id.cache_clear()
    (tmp_path / "one").write_text("d2f4\n")
    monkeypatch.setattr(machine, "BOOT_ID", tmp_path / "one")
    assert boot_id() == "d2f4"
    boot_id.cache_clear()
