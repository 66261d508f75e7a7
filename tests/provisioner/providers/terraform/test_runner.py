"""The real Terraform or OpenTofu at work, on resources that need no cloud."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.providers.base import Step
from surreal.provisioner.providers.terraform.runner import Engine, find_engine

needs_engine = pytest.mark.skipif(
    not (shutil.which("terraform") or shutil.which("tofu")), reason="neither terraform nor tofu is on PATH"
)


def engine(folder: Path, **resources: Any) -> Engine:
    """An engine in a folder with resources of the kind that every engine has built in."""
    blocks = {"resource": {"terraform_data": resources}} if resources else {}
    (folder / "main.tf.json").write_text(json.dumps({**blocks, "output": {"answer": {"value": "42"}}}))
    found = Engine(find_engine(), folder)
    found.init()
    return found


@needs_engine
def test_what_is_planned_is_shown_applied_and_then_there(tmp_path: Path) -> None:
    works, said, steps = engine(tmp_path, a={"input": "1"}, b={"input": "2"}), list[str](), list[Step]()
    assert works.plan(said.append)
    assert "Plan: 2 to add, 0 to change, 0 to destroy." in said
    works.apply(steps.append)
    assert [(step.done, step.total) for step in steps if not step.passing] == [(1, 2), (2, 2), (2, 2)]
    assert sorted(works.resources()) == ["terraform_data.a", "terraform_data.b"]
    assert works.outputs() == {"answer": "42"}
    assert not works.plan(said.append), "nothing is left to change"


@needs_engine
def test_what_is_destroyed_is_gone(tmp_path: Path) -> None:
    works = engine(tmp_path, a={"input": "1"})
    works.plan(print)
    works.apply(print)
    assert works.plan(print, destroy=True)
    works.apply(print)
    assert works.resources() == []
    assert not works.plan(print, destroy=True)


@needs_engine
def test_a_folder_that_was_never_applied_has_nothing(tmp_path: Path) -> None:
    assert engine(tmp_path).resources() == []


@needs_engine
def test_an_error_of_one_resource_is_said_and_the_next_run_goes_on_from_there(tmp_path: Path) -> None:
    fails = {"provisioner": {"local-exec": {"command": f"test -e {tmp_path}/repaired"}}}
    works = engine(tmp_path, fine={"input": "1"}, fails=fails)
    works.plan(print)
    with pytest.raises(SurrealError, match="apply: failed:\nterraform_data.fails: local-exec provisioner error"):
        works.apply(print)
    assert "terraform_data.fine" in works.resources()
    (tmp_path / "repaired").touch()
    said: list[str] = []
    assert works.plan(said.append)
    assert "Plan: 1 to add, 0 to change, 1 to destroy." in said
    works.apply(print)
    assert sorted(works.resources()) == ["terraform_data.fails", "terraform_data.fine"]


@needs_engine
def test_wrong_files_are_refused_with_the_engines_words(tmp_path: Path) -> None:
    works = engine(tmp_path)
    (tmp_path / "main.tf.json").write_text('{"resource": {"terraform_data": {"a": {"inptu": 1}}}}')
    with pytest.raises(SurrealError, match="plan: failed:"):
        works.plan(print)


INTERRUPTED = """
import sys
from pathlib import Path
from surreal.provisioner.providers.terraform.runner import Engine, find_engine
works = Engine(find_engine(), Path(sys.argv[1]))
works.plan(lambda line: None)
works.apply(lambda step: print(step.text, flush=True))
"""


@needs_engine
def test_an_interrupted_run_keeps_what_it_made_and_the_next_one_converges(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    waits = {"depends_on": ["terraform_data.first"], "provisioner": {"local-exec": {"command": f"cat {gate}"}}}
    later = {"depends_on": ["terraform_data.waits"]}
    works = engine(tmp_path, first={"input": "1"}, waits=waits, later=later)
    script = [sys.executable, "-P", "-c", INTERRUPTED, str(tmp_path)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if "waits: Provisioning" in line:
                break
        process.send_signal(signal.SIGINT)
        # the engine lets the provisioner end before it writes its state
        opener = threading.Thread(target=lambda: gate.open("w").close(), daemon=True)
        opener.start()
        process.communicate(timeout=120)
    assert process.returncode == 1 or process.returncode == -signal.SIGINT
    assert "terraform_data.first" in works.resources()
    assert "terraform_data.later" not in works.resources()
    gate.unlink(missing_ok=True)
    gate.touch()
    assert works.plan(print)
    works.apply(print)
    assert sorted(works.resources()) == ["terraform_data.first", "terraform_data.later", "terraform_data.waits"]


def test_without_an_engine_the_way_to_one_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match="PATH: has neither terraform nor tofu. Install one of them: https://"):
        find_engine()


def test_opentofu_serves_where_there_is_no_terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tofu").write_text("#!/bin/sh\n")
    (tmp_path / "tofu").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_engine().name == "tofu"
