"""Telling a person: a command without a shell and a POST of JSON; what fails is one sentence."""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from surreal.protocol.worker.guard import notification
from surreal.protocol.worker.guard.notification import END, FAILURE, MAX_WORDS, Notice, tell

NOTICE = Notice.of_end("cheetah", "failed", "ValueError: no\0licence", {"steps": 7.0}, {})


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """The URL of a server that answers one request with these bytes, and then hangs up."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/secret-path"
        thread.join(120)


def test_nothing_is_told_where_nothing_is_asked_for() -> None:
    assert tell({}, NOTICE) == tell({"command": [], "url": ""}, NOTICE) == []


def test_a_notice_of_the_end_says_whether_it_was_a_failure_and_cuts_a_long_reason() -> None:
    assert NOTICE.event == FAILURE and Notice.of_end("a", "stopped", "", {}, {}).event == END
    assert Notice.of_end("a", "succeeded", "", {}, {}).text == "a succeeded"
    assert Notice.of_end("a", "failed", "x" * 10**6, {}, {}).text == f"a failed: {'x' * MAX_WORDS}"


def test_a_notice_of_a_run_that_its_goal_ended_says_so() -> None:
    config = {"stop_at_return": 450.0, "total_steps": 1000}
    reached = {"steps": 400.0, "episode_return": 451.5}
    assert Notice.of_end("a", "succeeded", "", reached, config).text == (
        "a succeeded: its return reached stop_at_return, 450"
    )
    for progress in ({**reached, "steps": 1000.0}, {**reached, "episode_return": 449.0}, {"steps": 400.0}, {}):
        assert Notice.of_end("a", "succeeded", "", progress, config).text == "a succeeded"
    assert Notice.of_end("a", "stopped", "", reached, config).text == "a stopped"


def test_a_command_gets_words_that_no_variable_can_hold_without_their_zero_bytes(tmp_path: Path) -> None:
    text = (
        "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(os.environ['SURREAL_TEXT'] + sys.stdin.read())"
    )
    assert tell({"command": (sys.executable, "-c", text, str(tmp_path / "told"))}, NOTICE) == []
    assert (tmp_path / "told").read_text() == "cheetah failed: ValueError: nolicence" + NOTICE.to_json()


def test_a_command_that_fails_is_quoted_with_its_last_line() -> None:
    (problem,) = tell({"command": ("sh", "-c", "echo first >&2; echo no route >&2; exit 3")}, NOTICE)
    assert problem == "spec.notify.command: 'sh' failed (exit 3): no route. The run is not changed by that."


def test_a_command_that_does_not_end_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification, "COMMAND_S", 0.5)
    (problem,) = tell({"command": ("sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid; wait")}, NOTICE)
    assert "'sh' took over 0 s and was ended. Have it return sooner." in problem
    child, deadline = int((tmp_path / "pid").read_text()), time.monotonic() + 120
    while time.monotonic() < deadline and Path(f"/proc/{child}/stat").exists():
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.01)
    else:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 500 Out of order\r\nContent-Length: 0\r\n\r\n", "answered 500 Out of order"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "answered 302 Found"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "gave no answer of HTTP"),
        (b"", "was not reached"),
    ],
    ids=["204", "500", "302", "ssh", "nothing"],
)
def test_an_answer_that_is_no_success_is_said_with_the_host_alone(answer: bytes, said: str) -> None:
    with server(answer) as url:
        problems = tell({"url": url}, NOTICE)
    assert len(problems) == bool(said)
    for problem in problems:
        assert problem.startswith("spec.notify.url: '127.0.0.1' ") and said in problem
        assert "secret-path" not in problem


def test_a_server_that_is_away_is_said_and_the_command_runs_nevertheless(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    notify = {"command": ("touch", str(tmp_path / "told")), "url": f"http://127.0.0.1:{port}/"}
    (problem,) = tell(notify, NOTICE)
    assert "was not reached" in problem and (tmp_path / "told").exists()
