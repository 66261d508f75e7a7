"""The files of a run, fetched piece by piece."""

from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.ray.actors import files as module
from surreal.orchestrator.backends.ray.actors.files import Copy, Files
from surreal.orchestrator.backends.ray.actors.host import Host
from surreal.orchestrator.backends.ray.actors.mirror import Mirror
from surreal.protocol.errors import NotFound


class Counted:
    """Asks as a client does, and counts."""

    def __init__(self, folder: Path) -> None:
        self.files = Files(str(folder))
        self.bytes = 0

    def __call__(self, method: str, *arguments: Any) -> Any:
        answer = getattr(self.files, method)(*arguments)
        self.bytes += len(answer) if method == "read" else 0
        return answer


def test_a_copy_fetches_what_is_new_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 4)
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "logs").mkdir(parents=True)
    log, other = there / "logs" / "actor-0.1.log", there / "progress.json"
    log.write_text("one\ntwo\n")
    other.write_text("{}")
    ask = Counted(there)
    copy = Copy(ask, here)
    copy.update("")
    assert (here / "logs" / "actor-0.1.log").read_text() == "one\ntwo\n" and ask.bytes == 10
    log.write_text("one\ntwo\nthree\n")
    copy.update("")
    assert (here / "logs" / "actor-0.1.log").read_text() == "one\ntwo\nthree\n" and ask.bytes == 16


def test_the_tail_of_a_log_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "logs").mkdir(parents=True)
    (there / "logs" / "a-0.1.log").write_bytes(b"x" * 1_000_000 + b"\nlast\n")
    ask = Counted(there)
    Copy(ask, here).update("logs/", tail=100)
    assert ask.bytes == 100
    copied = (here / "logs" / "a-0.1.log").read_bytes()
    assert len(copied) == 1_000_006 and copied.endswith(b"xx\nlast\n")


def test_keys_and_what_lies_outside_are_no_files_of_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "keys").mkdir(parents=True)
    (run / "keys" / "learner.json").write_text("secret")
    (tmp_path / "other").write_text("secret")
    files = Files(str(run))
    assert files.files("") == {} and files.files("keys/") == {}
    for name in ("keys/learner.json", "../other", str(tmp_path / "other")):
        with pytest.raises(NotFound):
            files.read(name, 0, 10)


def test_a_mirror_keeps_whole_checkpoints_and_gives_them_to_the_next_node(tmp_path: Path) -> None:
    first, head, second = (tmp_path / name for name in ("first", "head", "second"))
    checkpoint = first / "checkpoints" / "step-10"
    checkpoint.mkdir(parents=True)
    head.mkdir()
    (checkpoint / "weights.bin").write_bytes(b"w" * 200_000)
    (first / "progress.json").write_text('{"steps": 10}')
    mirror = Mirror(Counted(first), head, checkpoints=True)
    mirror.pull()
    assert not (head / "checkpoints").exists(), "it has no manifest yet"
    (checkpoint / "manifest.json").write_text("{}")
    mirror.pull()
    assert (head / "checkpoints" / "step-10" / "weights.bin").stat().st_size == 200_000

    host = Host.__new__(Host)
    host._run_folder = str(second)
    Mirror(lambda method, *arguments: getattr(host, method)(*arguments), head, checkpoints=True).push()
    assert (second / "checkpoints" / "step-10" / "weights.bin").read_bytes() == b"w" * 200_000
    assert (second / "checkpoints" / "step-10" / "manifest.json").read_text() == "{}"


def test_a_mirror_forgets_checkpoints_that_were_pruned(tmp_path: Path) -> None:
    there, head = tmp_path / "there", tmp_path / "head"
    for step in (1, 2):
        (there / "checkpoints" / f"step-{step}").mkdir(parents=True)
        (there / "checkpoints" / f"step-{step}" / "manifest.json").write_text("{}")
    head.mkdir()
    mirror = Mirror(Counted(there), head, checkpoints=True)
    mirror.pull()
    (there / "checkpoints" / "step-1" / "manifest.json").unlink()
    (there / "checkpoints" / "step-1").rmdir()
    mirror.pull()
    assert [path.name for path in (head / "checkpoints").iterdir()] == ["step-2"]
