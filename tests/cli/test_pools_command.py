"""`surreal pools`, `surreal prices`, and the machines and costs of `surreal plan`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.prediction.calibration import Calibration, Machine, key_of
from surreal.orchestrator.prediction.queueing import Service
from surreal.provisioner.pools.local import local_pool
from tests.cli.terminal import experiment_file
from tests.cli.test_main import surreal

CLUSTER = """\
metadata: {name: lab}
spec:
  provider: gke
  project: my-project
  region: us-central1
  network: {allowedCidrs: [203.0.113.7/32]}
  pools:
    - {name: system, machine: n2-standard-4, max: 3}
    - {name: actors, machine: n2-standard-8, max: 40, spot: true}
    - {name: learners, machine: g2-standard-8, max: 2}
    - {name: new, machine: c4-standard-8, max: 2, zones: [us-central1-a]}
"""
PRICES = """\
sources: {ours: {date: 2020-01-31, region: us-central1, what: a contract}}
machines: {gke: {c4-standard-8: {price: 0.39, source: ours}}}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    return path


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES)
    return path


def test_pools_without_more_words_is_this_machine() -> None:
    (pool,) = json.loads(surreal("pools", "-o", "json").stdout)
    assert (pool["name"], pool["nodes"]["now"], pool["pricePerHour"]) == ("local", 1, None)


def test_the_pools_of_a_cluster_file_are_shown_with_what_is_unknown_called_so(cluster: Path) -> None:
    done = surreal("pools", "-f", cluster)
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["actors"][1:5] == ["n2-standard-8", "spot", "0", "0-40"]
    assert rows["learners"][4:10] == ["7.41", "CPU", "27.1", "GiB", "1", "x"]
    assert (rows["actors"][-1], rows["new"][-1]) == ("0.0940", "unknown")
    assert (
        done.stderr
        == "prices: gce-list of 2026-06-23 for us-central1, figures of unknown age; surreal prices --check\n"
    )


def test_json_and_yaml_of_pools_are_the_same(cluster: Path) -> None:
    as_json, as_yaml = (surreal("pools", "-f", cluster, "-o", form).stdout for form in ("json", "yaml"))
    assert json.loads(as_json) == yaml.safe_load(as_yaml)
    assert [pool["nodes"]["max"] for pool in json.loads(as_json)] == [3, 40, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--on", "kub"), "--on kub: no such backend (did you mean 'kube'?). Available: local, kube"),
        (("-f", "nothing.yaml"), "nothing.yaml: no such file"),
    ],
)
def test_a_place_that_is_none_is_refused(arguments: tuple[str, ...], said: str) -> None:
    done = surreal("pools", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)


def test_a_wrong_cluster_file_is_refused_at_its_line(cluster: Path) -> None:
    cluster.write_text(
        CLUSTER.replace("machine: n2-standard-8", "machine: n2-standard-8, accelerator: {type: nvidia-l4}")
    )
    done = surreal("pools", "-f", cluster)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{cluster}:9: spec.pools.1.accelerator: n2-standard-8 cannot have 1 x nvidia-l4")


def test_a_plan_for_a_cluster_file_says_machines_and_cost(cluster: Path, tmp_path: Path) -> None:
    arguments = ("plan", experiment_file(tmp_path), "--pools", cluster, "--set", "spec.roles.actor.replicas=140")
    done = surreal(*arguments, "--speed", "100000")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.split()[:6] == ["actor", "140", "0.5", "512Mi", "0", "actors,"] for line in lines)
    # 14 half cores fit 7.41, so that 140 actors and the evaluator need eleven machines
    assert any(line.split()[:8] == ["actors", "n2-standard-8", "spot", "0", "of", "0", "11", "11"] for line in lines)
    per_hour = 11 * 0.094 + 0.1942
    cost = next(line for line in lines if line.startswith("cost:"))
    assert cost.startswith(f"cost: {per_hour:.2f} $/h, {24 * per_hour:.2f} $/day, ")
    assert "$ per million steps (gce-list of 2026-06-23 for us-central1, figures of unknown age)" in cost
    data = json.loads(surreal(*arguments, "-o", "json").stdout)
    assert data["cost"]["perHour"] == pytest.approx(per_hour)
    assert data["roles"][1]["selectors"][0] == {
        "surreal.dev/pool": "actors",
        "cloud.google.com/gke-spot": "true",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }


def test_a_plan_that_costs_too_much_is_refused_and_starts_nothing(cluster: Path, tmp_path: Path) -> None:
    arguments = ("plan", experiment_file(tmp_path), "--pools", cluster, "--set", "spec.roles.actor.replicas=140")
    assert surreal(*arguments, "--max-cost", "2/h").returncode == 0
    done = surreal(*arguments, "--max-cost", "1/h")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("--max-cost 1/h: pole costs 1.23 $/h at full scale, most of it pool 'actors'")


def test_create_refuses_what_nobody_can_price(tmp_path: Path) -> None:
    done = surreal("create", experiment_file(tmp_path), "--max-cost", "20/h", SURREAL_HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("--max-cost 20/h: pool local has no known price")
    assert json.loads(surreal("list", "-o", "json", SURREAL_HOME=str(tmp_path)).stdout) == []


def test_prices_are_listed_by_provider(prices: Path) -> None:
    rows = json.loads(surreal("prices", "eks", "-o", "json").stdout)
    assert {row["provider"] for row in rows} == {"eks"}
    assert next(row for row in rows if row["machine"] == "p5.48xlarge")["gpus"] == 8
    own = json.loads(surreal("prices", "gke", "--prices", prices, "-o", "json").stdout)
    assert next(row for row in own if row["machine"] == "c4-standard-8")["pricePerHour"] == 0.39
    done = surreal("prices", "gce")
    assert (done.returncode, done.stderr) == (
        2,
        "no machine types of 'gce' (did you mean 'gke'?). There are those of: eks, gke\n",
    )


def test_prices_say_how_old_they_are_and_old_ones_are_warned_of(prices: Path) -> None:
    sources = json.loads(surreal("prices", "--check", "-o", "json").stdout)
    assert {source["source"]: source["date"] for source in sources}["aws-list"] == "2026-07-20"
    done = surreal("prices", "--check", "--prices", prices)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split()[:2] == ["ours", "2020-01-31"]
    assert "warning: ours is " in done.stderr


def test_a_predicted_cost_is_that_of_the_size_that_was_asked_for(cluster: Path, tmp_path: Path) -> None:
    file = experiment_file(tmp_path)
    plan = make_plan(load_experiment(file), [local_pool()])
    service = Service(100e-6, 100e-6)
    Calibration(
        key_of(plan.algorithm, plan.env, plan.config),
        str(plan.env["id"]),
        plan.algorithm,
        Machine("Lab CPU", 2.0, "3.11"),
        {"actor": service, "learner": Service(0.1e-6, 0.1e-6)},
    ).write(tmp_path / "calibrations")

    def predicted(*options: str) -> dict[str, Any]:
        done = surreal("plan", file, "--pools", cluster, "-o", "json", *options, SURREAL_HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)["prediction"]
        return found

    # eleven machines for both, which is not what the actors of the file need
    per_hour = 11 * 0.094 + 0.1942
    wide, asked = predicted("--what-if", "actor=140"), predicted("--target", "1399000")
    for found in (wide, asked):
        assert found["cost_dollars"] == pytest.approx(found["hours"] * per_hour, abs=1e-4)
        assert found["measured_elsewhere"] and found["range"] is None and "Lab CPU" in found["source"]
    assert asked["replicas"]["actor"] >= 140
