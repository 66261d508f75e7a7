"""The live page: time to the first curves in a fresh Chromium, delay of a live run, cost of the server.

    python benchmarks verbs.page [--runs 200] [--running 8] [--points 10000] [--seconds 30]

It needs the extra `page`, Playwright and a Chromium (SURREAL_CHROMIUM names it). Runs are folders of made-up metrics;
the server is `surreal open`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import sync_playwright

import surreal
from learning.ending import SURREAL
from surreal.orchestrator.client import Client
from surreal.orchestrator.run import home
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.provenance import provenance
from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.record import RunRecord, processes_of

OPENED = 7
"""Browsers that are opened one after the other."""


def make(count: int, running: int, points: int) -> list[Folder]:
    """Make runs, the first of them running, and return those; the locks that say so are held by this process."""
    client, live = Client(), []
    experiment = surreal.Experiment("run", "CartPole-v1", surreal.PPO(total_steps=100 * points))
    plan = client.plan(experiment)
    for number in range(count):
        folder = home.new_folder(f"run-{number:03}")
        folder.make()
        folder.experiment.write_text(experiment.to_yaml())
        folder.plan.write_text(plan.to_json())
        home.write_json(folder.provenance, provenance(Path.cwd(), None, "CartPole-v1"))
        with folder.metrics_jsonl.open("w") as file:
            file.writelines(row(step) for step in range(points if number < running else points // 10))
        progress = {"at": 1.7e9, "steps": 100 * points, "total_steps": 100 * points, "steps_per_second": 3000.0}
        home.write_json(folder.progress, progress)
        RunRecord("running" if number < running else "succeeded", processes=processes_of(plan)).write(folder)
        if number < running:
            assert os_process.acquire(folder) is not None, "a folder that is new is free"
            live.append(folder)
    return live


def row(step: int) -> str:
    """Return one line of metrics."""
    numbers = {"updates": step, "episode_return": step % 97 + step / 50, "steps_per_second": 3000.0 + step % 13}
    about = {"time": 1.7e9 + step, "role": "learner/0", "steps": 100 * step, "attempt": 1}
    return json.dumps({**about, **numbers}) + "\n"


def first_curves(playwright: Any, url: str, shown: int) -> float:
    """Return the milliseconds from the navigation of a fresh browser until all curves are drawn."""
    browser = playwright.chromium.launch(executable_path=chromium())
    try:
        tab = browser.new_page(viewport={"width": 1200, "height": 900})
        tab.goto(url, wait_until="commit")
        tab.wait_for_selector(f".area[data-curves='{shown}'] canvas", state="attached")
        return float(tab.evaluate("performance.now()"))
    finally:
        browser.close()


def follow(playwright: Any, url: str, live: list[Folder], points: int, seconds: int, server: psutil.Process) -> None:
    """Write a row a second to each running run; print the delays until they are drawn, and the cost of the server."""
    browser = playwright.chromium.launch(executable_path=chromium())
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    tab.goto(url)
    tab.wait_for_selector(".area canvas", state="attached")
    delays, began, before = [], time.monotonic(), server.cpu_times()
    for step in range(points, points + seconds):
        for folder in live:
            with folder.metrics_jsonl.open("a") as file:
                file.write(row(step))
        written = time.monotonic()
        tab.wait_for_selector(f".area[data-last='{100 * step}']", state="attached")
        delays.append(time.monotonic() - written)
        time.sleep(max(0.0, 1.0 - delays[-1]))
    after, passed = server.cpu_times(), time.monotonic() - began
    used = (after.user + after.system - before.user - before.system) / passed
    browser.close()
    print(f"delay: median {statistics.median(delays):.2f} s, most {max(delays):.2f} s")
    print(f"server: {used:.1%} of a core while the page is open, {used / len(live):.2%} for each running run")


def chromium() -> str:
    """Return the browser's program."""
    found = os.environ.get("SURREAL_CHROMIUM") or shutil.which("chromium")
    assert found, "install a Chromium, or name it in SURREAL_CHROMIUM"
    return found


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 200), ("running", 8), ("points", 10_000), ("seconds", 30)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["SURREAL_HOME"] = place
        live = make(options.runs, options.running, options.points)
        command = [SURREAL, "open", "--no-browser", "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
            assert served.stderr is not None, "it is a pipe"
            try:
                measure(served.stderr.readline().split()[0], live, options, psutil.Process(served.pid))
            finally:
                served.terminate()


def measure(url: str, live: list[Folder], options: argparse.Namespace, server: psutil.Process) -> None:
    """Print the figures of the page at `url`."""
    with sync_playwright() as playwright:
        first_curves(playwright, url, options.running)
        times = [first_curves(playwright, url, options.running) for _ in range(OPENED)]
        print(f"first curves: median {statistics.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f} ms")
        follow(playwright, url, live, options.points, options.seconds, server)


if __name__ == "__main__":
    main()
