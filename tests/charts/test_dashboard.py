"""The Grafana dashboard asks for metrics that real runs really serve."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.charts import helm
from tests.cli.terminal import surreal
from tests.ports import free_port

PPO = """\
spec:
  env: {id: CartPole-v1, copies: 2}
  algorithm: {name: ppo, config: {total_steps: 100_000_000, fragment_steps: 64, numba: false}}
  roles:
    actor: {replicas: 1}
"""
ARS = """\
spec:
  env: {id: Swimmer-v5, copies: 2}
  algorithm: {name: ars, config: {total_steps: 100_000_000, directions: 2, deterministic: true}}
  roles:
    worker: {replicas: 1}
"""


def dashboard() -> dict[str, Any]:
    """As it lies in the ConfigMap that the chart makes."""
    (found,) = [each for each in helm.render() if each["kind"] == "ConfigMap"]
    (text,) = found["data"].values()
    return dict(json.loads(text))


def asked() -> set[str]:
    """The metrics in its queries."""
    queries = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in dashboard()["templating"]["list"] if variable["type"] == "query"]
    return {name for query in queries for name in re.findall(r"surreal_\w+", query)}


def start(folder: Path, name: str, spec: str) -> int:
    """Start a real run; the port where Prometheus finds it."""
    port = free_port()
    file = folder / f"{name}.yaml"
    head = f"apiVersion: surreal.dev/v1alpha1\nkind: Experiment\nmetadata: {{name: {name}}}\n"
    file.write_text(f"{head}{spec}  prometheus: {{port: {port}}}\n")
    created = surreal("create", file, "-d")
    assert created.returncode == 0, created.stderr
    return port


def scraped(port: int) -> set[str]:
    """The names served now; none while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return set()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Of a run that learns by gradients and of one that searches."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    try:
        yield [start(tmp_path, name, spec) for name, spec in (("ppo", PPO), ("ars", ARS))]
    finally:
        surreal("delete", "ppo", "-y")
        surreal("delete", "ars", "-y")


@pytest.mark.slow
def test_real_runs_serve_every_metric_of_the_dashboard(ports: list[int]) -> None:
    missing = asked()
    deadline = time.monotonic() + 120
    while missing and time.monotonic() < deadline:
        missing -= {name for port in ports for name in scraped(port)}
        time.sleep(0.1)
    assert missing == set()


def test_it_shows_what_matters() -> None:
    titles = {panel["title"] for panel in dashboard()["panels"]}
    assert {"Return", "Environment steps per second", "Staleness", "Share of time blocked", "Starts again"} <= titles
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])


def test_every_query_is_of_the_experiments_that_were_chosen() -> None:
    queries = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    for query in queries:
        assert query.count("surreal_") == query.count('{experiment=~"$experiment"'), query
        assert query.count("(") == query.count(")") and query.count("{") == query.count("}")
