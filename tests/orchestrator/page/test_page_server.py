"""The server of the page: what it answers, to whom, and what a browser may do with it."""

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from surreal.orchestrator.page.guard import HEADERS
from surreal.orchestrator.page.server import PLOTS, plots
from surreal.orchestrator.page.views import Views, views_of
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import NotFound, Unreachable
from tests.orchestrator.page.pages import FolderRun, Page, page, wait_for


def test_runs_curves_logs_and_films_are_plain_data(tmp_path: Path) -> None:
    with page(tmp_path, ("one", "two")) as served:
        run = served.runs["one"]
        row = {"time": 5.0, "role": "learner/0", "steps": 10, "episode_return": 1.5, "attempt": 1}
        (run.folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        (run.folder / "videos").mkdir()
        (run.folder / "videos" / "first.mp4").write_bytes(b"film")
        run.lines = ["hello <b>you</b>"]
        assert [each["name"] for each in served.data("/api/runs")] == ["one", "two"]
        whole = served.data("/api/runs/one")
        assert whole["state"] == "running" and "plan" not in whole
        assert served.data("/api/runs/one/plan") == {}
        found = ask_for_curves(served, "one", "two", marks=[-1, -1])
        assert found["names"] == ["learner.episode_return"]
        assert found["curves"]["learner.episode_return"]["one"]["x"] == [10.0]
        assert served.data("/api/runs/one/logs")[0]["text"] == "hello <b>you</b>"
        assert served.data("/api/runs/one/videos") == ["first.mp4"]
        assert served.ask("/api/runs/one/videos/first.mp4")[2] == b"film"


def ask_for_curves(served: Page, *runs: str, marks: list[int], **about: object) -> Any:
    asked = {"axis": "steps", "runs": runs, "curves": [{"key": "learner.episode_return", "marks": marks, **about}]}
    return served.data("/api/curves?" + urlencode({"ask": json.dumps(asked)}))


def test_only_curves_that_have_grown_are_sent_again_and_runs_that_are_gone_are_left_out(tmp_path: Path) -> None:
    with page(tmp_path, ("one", "two")) as served:
        row = {"time": 5.0, "role": "learner/0", "steps": 10, "episode_return": 1.5, "attempt": 1}
        for run in served.runs.values():
            (run.folder / "metrics.jsonl").write_text(json.dumps(row) + "\n")
        first = ask_for_curves(served, "one", "two", marks=[-1, -1])["curves"]["learner.episode_return"]
        marks = [first["one"]["mark"], -1, first["two"]["mark"]]
        with (served.runs["two"].folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({**row, "time": 6.0, "steps": 20}) + "\n")
        found = ask_for_curves(served, "one", "gone", "two", marks=marks)["curves"]["learner.episode_return"]
        assert list(found) == ["two"] and found["two"]["x"] == [20.0] and found["two"]["since"] == marks[2]
        window = {"from": 10.5, "to": 20.0}
        seen = ask_for_curves(served, "one", marks=[-1], window=window)["curves"]["learner.episode_return"]["one"]
        assert (seen["x"], seen["y"]) == ([10.0], [1.5])


@pytest.mark.parametrize("path", ["/api/runs/none", "/api/runs/none/plan", "/api/runs/one/videos/..%2fmetrics.jsonl"])
def test_what_is_not_there_is_404(tmp_path: Path, path: str) -> None:
    with page(tmp_path) as served:
        (served.runs["one"].folder / "metrics.jsonl").write_text("")
        assert served.ask(path)[0] == 404


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "[]",
        "[" * 5000,
        '{"axis": "weeks"}',
        '{"points": "many"}',
        '{"points": 0}',
        '{"runs": "one"}',
        '{"curves": ["x"]}',
        '{"curves": [{"key": "x", "window": {"from": "then"}}]}',
        '{"curves": [{"key": "x", "window": {"from": NaN}}]}',
        '{"curves": [{"key": "x", "window": {"to": 1' + "0" * 400 + "}}]}",
        json.dumps({"runs": ["x"] * 201}),
    ],
)
def test_a_question_that_means_nothing_is_400_with_a_sentence(tmp_path: Path, asked: str) -> None:
    with page(tmp_path) as served:
        code, _, body = served.ask("/api/curves?" + urlencode({"ask": asked}))
        assert code == 400 and json.loads(body)["error"]


def test_curves_that_are_shown_first_are_read_ahead_and_a_place_that_is_away_is_not_said_yet(tmp_path: Path) -> None:
    names = [f"run-{number}" for number in range(10)]
    statuses = [Status(name, "local", "", "running" if name == "run-9" else "succeeded") for name in names]
    opened: list[str] = []

    def find(name: str) -> FolderRun:
        opened.append(name)
        return FolderRun(tmp_path)

    Views(lambda: statuses, find).warm()  # type: ignore[arg-type]
    assert opened == ["run-9", *names[:7]]

    def away() -> list[Status]:
        raise Unreachable("the cluster: no answer. Try again.")

    Views(away, find).warm()  # type: ignore[arg-type]


def test_a_deleted_run_leaves_the_page_and_others_stay(tmp_path: Path) -> None:
    with page(tmp_path, ("one", "two")) as served:
        assert served.ask("/api/runs/one")[0] == 200
        del served.statuses[0]
        served.ask("/api/runs")
        wait_for(lambda: served.ask("/api/runs/one")[0] == 404)
        assert [each["name"] for each in served.data("/api/runs")] == ["two"]


def test_every_answer_has_a_content_policy_without_foreign_hosts_or_inline_scripts(tmp_path: Path) -> None:
    with page(tmp_path) as served:
        for path in ("/", "/main.js", "/vendor/uplot.js", "/api/runs", "/nothing"):
            headers = served.ask(path)[1]
            assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
    assert "script-src 'self';" in HEADERS["Content-Security-Policy"]
    assert "http" not in HEADERS["Content-Security-Policy"] and "unsafe-" not in HEADERS["Content-Security-Policy"]


def test_the_plot_library_comes_from_its_package_and_nothing_else_does(tmp_path: Path) -> None:
    with page(tmp_path) as served:
        for name, file in PLOTS.items():
            code, headers, body = served.ask(f"/vendor/{name}")
            assert (code, body) == (200, (plots() / file).read_bytes())
            assert headers["content-type"].partition(";")[0] in ("text/javascript", "text/css")
        assert served.ask("/vendor/__init__.py")[0] == 404


def test_a_package_that_only_shares_its_name_is_not_taken_for_it(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "uplot").mkdir()
    (tmp_path / "uplot" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NotFound, match="pip install uplot-python"):
        plots()


def test_a_name_that_points_here_is_refused_and_addresses_are_not(tmp_path: Path) -> None:
    with page(tmp_path) as served:
        assert served.ask("/api/runs", Host="example.org")[0] == 421
        assert served.ask("/api/runs", Host="localhost:1")[0] == 200
        assert served.ask("/api/runs", Host="[::1]:80")[0] == 200


def test_a_page_with_a_token_answers_to_it_alone(tmp_path: Path) -> None:
    with page(tmp_path, token="secret") as served:
        assert served.ask("/")[0] == served.ask("/api/runs")[0] == served.ask("/?token=guess")[0] == 401
        code, headers, _ = served.ask("/?token=secret")
        assert code == 303 and headers["location"] == "/"
        cookie = headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie
        assert served.ask("/api/runs", Cookie=cookie.split(";")[0])[0] == 200
        assert served.ask("/api/runs", Cookie="surreal-token=other")[0] == 401


def test_a_run_that_is_asked_for_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path))
    with pytest.raises(NotFound, match="no experiment 'gone'"):
        views_of(["gone"], None)


def test_a_port_that_is_taken_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from surreal.cli.commands.run.open import command
    from surreal.protocol.errors import InvalidInput

    monkeypatch.setenv("SURREAL_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(command, ["--no-browser", "--port", port])
    assert isinstance(result.exception, InvalidInput)
    assert f"--port: {port} at 127.0.0.1 cannot be used" in str(result.exception)
