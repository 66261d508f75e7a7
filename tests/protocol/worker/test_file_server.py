"""The process that answers for the files of a run folder, as it runs in a pod."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from surreal.protocol.worker.file_server import MAX_ANSWER_BYTES, inside


class Reader:
    """The real process."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The head and the bytes of an answer."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        head = json.loads(self.process.stdout.readline())
        return head, self.process.stdout.read(head["bytes"])


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    command = [sys.executable, "-P", "-m", "surreal.protocol.worker.file_server", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Reader(process)
        finally:
            process.kill()


def test_parts_of_several_files_come_in_one_answer(tmp_path: Path) -> None:
    noise = os.urandom(100_000)
    (tmp_path / "noise").write_bytes(noise)
    (tmp_path / "short").write_bytes(b"abc\n")
    with reader(tmp_path) as asked:
        head, body = asked.ask({"read": [["noise", -1000, 1000], ["none", 0, 10], ["short", 1, 2], ["short", -99, 9]]})
        assert head["sizes"] == [100_000, None, 4, 4] and head["parts"] == [1000, 0, 2, 4]
        assert body == noise[-1000:] + b"bc" + b"abc\n"
        head, body = asked.ask({"read": [["noise", 0, 100_000]]})
        assert body == noise


def test_an_answer_is_never_longer_than_agreed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(MAX_ANSWER_BYTES)
    with reader(tmp_path) as asked:
        head, body = asked.ask({"read": [["one", 1, MAX_ANSWER_BYTES], ["two", 0, 5]]})
        assert head["parts"] == [MAX_ANSWER_BYTES - 1, 1] and len(body) == MAX_ANSWER_BYTES


def test_files_are_listed_by_the_beginning_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("logs/a.log", "logs/b.log", "logsheet", "metrics"):
        (tmp_path / name).write_text(name)
    os.mkfifo(tmp_path / "logs" / "pipe")
    (tmp_path / "logs" / "link").symlink_to("/etc/passwd")
    with reader(tmp_path) as asked:
        head, _ = asked.ask({"list": "logs/"})
        assert [(name, size) for name, size, _, _ in head["files"]] == [("logs/a.log", 10), ("logs/b.log", 10)]
        assert asked.ask({"list": "nowhere/"})[0]["files"] == []
        assert len(asked.ask({"list": ""})[0]["files"]) == 4
        head, body = asked.ask({"read": [["logs/link", 0, 10], ["logs/pipe", 0, 10]]})
        assert head["sizes"] == [None, None] and body == b""


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "logs/../../secret", "a\0b"])
def test_nothing_outside_the_folder_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a file"):
        inside(tmp_path, name)


def test_it_ends_when_nobody_asks_any_more(tmp_path: Path) -> None:
    with reader(tmp_path) as asked:
        asked.ask({"list": ""})
        assert asked.process.stdin
        asked.process.stdin.close()
        assert asked.process.wait(120) == 0
