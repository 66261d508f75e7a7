"""Prediction: of this machine's calibration, of another machine's, of none; sizes and targets."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan, PlannedCost
from surreal.orchestrator.prediction import calibration as files
from surreal.orchestrator.prediction.calibration import MANY, Calibration, Found, Machine, find, key_of
from surreal.orchestrator.prediction.predict import beside_truth, predict
from surreal.orchestrator.prediction.queueing import Service
from surreal.orchestrator.prediction.sizes import parse_what_if, propose, propose_within, resized
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.pools.model import NodePool

ROOT = Path(__file__).parents[3]
HERE = Machine("Test CPU", 64.0, "3.11")
SERVICES = {"actor": Service(100e-6, 100e-6, 0.0, 200 << 20), "learner": Service(25e-6, 25e-6, 0.0, 600 << 20)}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of 64 cores without a calibration."""
    monkeypatch.setattr(files, "_here", lambda: HERE)
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "shipped")


@pytest.fixture
def plan() -> Plan:
    """The plan of a PPO run whose actors go on while it learns."""
    experiment = load_experiment(ROOT / "examples/cheetah-ppo.yaml", ("spec.algorithm.config.max_staleness=1",))
    return make_plan(experiment, (NodePool("local", 1, 64.0, 64 << 30),))


def calibrated(plan: Plan, **changes: object) -> Calibration:
    """A calibration of that plan on this machine."""
    key = key_of(plan.algorithm, plan.env, plan.config)
    made = Calibration(key, str(plan.env["id"]), plan.algorithm, HERE, SERVICES, at="2026-11-28T17:00:00+00:00")
    return replace(made, **changes)  # type: ignore[arg-type]


def test_without_a_calibration_no_number_is_made_up(plan: Plan) -> None:
    found = predict(plan)
    assert found.speed is None and found.source.startswith("no prediction: nothing was measured")
    data = found.to_data()
    assert [data[name] for name in ("steps_per_second", "range", "hours", "cost_dollars", "bounded_by")] == [None] * 5
    assert beside_truth(plan, 1000.0) == ""


def test_a_calibration_that_was_kept_predicts_speed_bound_hours_and_memory(plan: Plan) -> None:
    calibrated(plan).write()
    found = predict(resized(plan, {"actor": 2}))
    assert found.speed is not None and found.speed.steps == pytest.approx(20_000)
    assert found.bounding_role == "actor" and found.memory["learner"] == 600 << 20
    assert found.hours == pytest.approx(plan.config["total_steps"] / 20_000 / 3600)
    assert predict(resized(plan, {"actor": 40})).bounding_role == "learner"
    assert beside_truth(resized(plan, {"actor": 2}), 10_000.0).startswith("20,000 steps/s, measured -50%, outside")


def test_several_learners_are_said_to_exchange_what_was_not_measured(plan: Plan) -> None:
    found = Found(calibrated(plan), (), ())
    assert not predict(resized(plan, {"actor": 40}), found=found).notes
    two = predict(resized(plan, {"actor": 40, "learner": 2}), found=found)
    assert two.speed is not None and "the speed is the most they reach" in two.notes[-1]


def test_what_an_update_costs_once_is_shared_by_the_steps_of_all_actors(plan: Plan) -> None:
    # 20 us of each step, and 40 us of an update that has so many steps as actors
    fast, learner = Service(1e-6, 1e-6), {number: Service(20e-6 + 40e-6 / number, 20e-6) for number in (1, MANY)}
    made = calibrated(
        plan, services={"actor": fast, "learner": learner[1]}, more={"actor": fast, "learner": learner[MANY]}
    )
    for actors in (1, 2, MANY, 8, 40):
        found = predict(resized(plan, {"actor": actors}), found=Found(made, (), ())).speed
        assert found is not None and found.steps == pytest.approx(1 / (20e-6 + 40e-6 / actors), rel=1e-6)


def test_the_line_through_two_runs_ends_where_half_of_the_faster_one_is_left(plan: Plan) -> None:
    made = calibrated(plan, more={"learner": Service(5e-6, 5e-6), "actor": SERVICES["actor"]})
    assert made.service("learner", 1000).seconds == 2.5e-6
    assert made.service("actor", 1000) == SERVICES["actor"]


def test_a_prediction_reaches_the_share_of_the_model_that_the_measured_runs_reached(plan: Plan) -> None:
    made = calibrated(plan, more=SERVICES, measured=9_000.0, measured_many=32_000.0, ahead=1)  # of 10,000 and 40,000

    def steps(actors: int, **changes: object) -> float:
        settled = resized(plan.model_copy(update={"config": {**plan.config, **changes}}), {"actor": actors})
        found = predict(settled, found=Found(made, (), ())).speed
        assert found is not None and found.low < found.steps < found.high
        return found.steps

    assert [round(steps(actors)) for actors in (1, MANY)] == [9_000, 32_000]
    assert steps(2) == pytest.approx(20_000 * (0.9 - 0.1 * 2 / 3))
    assert steps(1000) == pytest.approx(40_000 * 0.8, rel=0.05)
    # in turns, where the model of the runs that were measured is another
    assert steps(1, max_staleness=0) == pytest.approx(0.9 / 125e-6)


def test_settings_that_cost_nothing_share_a_calibration_and_others_do_not(plan: Plan) -> None:
    def key(**changes: object) -> str:
        return key_of(plan.algorithm, plan.env, {**plan.config, **changes})

    assert key(total_steps=5, max_staleness=0, learning_rate=1.0) == key()
    assert key(epochs=3) != key() != key(hidden=[8])
    assert key_of(plan.algorithm, {**plan.env, "id": "Hopper-v5"}, plan.config) != key()


def test_a_calibration_of_another_machine_is_said_and_has_no_range(plan: Plan) -> None:
    calibrated(plan, machine=Machine("Other CPU", 8.0, "3.12")).write()
    found = predict(plan)
    assert found.speed is not None and "measured on another machine, Other CPU, 8 cores, Python 3.12" in found.source
    assert "true where this machine is as fast" in found.source
    assert found.to_data()["range"] is None and found.to_data()["measured_elsewhere"]
    assert beside_truth(plan, 1000.0) == ""


def test_what_came_with_surreal_predicts_for_the_machine_that_it_names(plan: Plan, tmp_path: Path) -> None:
    calibrated(plan, machine=Machine("Lab CPU", 2.0, "3.11"), version="0.0.1").write(tmp_path / "shipped")
    found = predict(plan)
    assert found.speed is not None and "another machine, Lab CPU, 2 cores" in found.source
    assert "(a calibration that came with surreal, 2026-11-28), and true where this machine is as fast" in found.source


def test_what_came_with_surreal_is_never_said_to_be_of_this_machine_until_it_is_calibrated(
    plan: Plan, tmp_path: Path
) -> None:
    calibrated(plan, at="2026-11-29T00:00:00+00:00", version="0.0.1").write(tmp_path / "shipped")
    found = predict(plan)
    assert found.source == "from a calibration that came with surreal, of a machine like this (2026-11-29)"
    assert found.to_data()["source"] == found.source and found.to_data()["range"] is not None
    pools = plan.model_copy(update={"pools": ("big",)})
    assert predict(pools).source.startswith("measured on a machine like this (a calibration that came with surreal, 20")
    calibrated(plan, at="2026-11-01T00:00:00+00:00").write()
    assert predict(plan).source == "from the calibration of this machine of 2026-11-01", "one's own counts, if older"
    assert predict(pools).source.startswith("measured on this machine, and true where the pools are as fast")


def test_a_calibration_of_another_version_is_not_used_and_said(plan: Plan) -> None:
    calibrated(plan, version="0.0.1").write()
    found = predict(plan)
    assert found.speed is None and "was made by surreal 0.0.1" in found.notes[0]


def test_damaged_files_are_left_out_in_words(plan: Plan, tmp_path: Path) -> None:
    good = calibrated(plan).write()
    data = json.loads(good.read_text())
    for name, damage in {
        "format.json": {**data, "format": 99},
        "negative.json": {**data, "services": {"actor": {"seconds": -1.0, "cpu": 1.0}}},
        "more.json": {**data, "more": {"learner": {"seconds": float("nan"), "cpu": 1.0}}},
        "text.json": "cut off",
    }.items():
        good.with_name(name).write_text(json.dumps(damage))
    good.with_name("cut.json").write_text("{")
    found = find(key_of(plan.algorithm, plan.env, plan.config))
    assert found.own is not None and len(found.notes) == 5
    assert any("format 99" in note for note in found.notes)


@pytest.mark.parametrize(
    "damage",
    [
        {"services": {}},
        {"services": {"actor": {"seconds": 0.0, "cpu": 0.0}}},
        {"services": {"actor": {"seconds": 1.0, "cpu": 1.0, "memory": "x"}}},
        {"services": {"actor": {"seconds": 1.0, "cpu": 1.0, "memory": -5}}},
        {"steady": "a"},
        {"steady": float("nan")},
        {"per_step": None},
        {"per_step": -1.0},
        {"at": None},
        {"version": None},
        {"machine": {"processor": "Test CPU", "cores": "2", "python": "3.11"}},
    ],
)
def test_a_calibration_with_a_value_that_is_none_is_left_out(plan: Plan, damage: dict[str, object]) -> None:
    path = calibrated(plan).write()
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    found = predict(plan)
    assert found.speed is None and f"{path.name} is left out: no calibration" in found.notes[0]


def test_a_calibration_nested_beyond_reading_or_without_a_role_is_not_used(plan: Plan) -> None:
    path = calibrated(plan).write()
    one = {"actor": {"seconds": 1.0, "cpu": 1.0}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "services": one}))
    path.with_name("deep.json").write_text("[" * 100_000)
    found = predict(plan)
    assert found.speed is None and found.notes[0].startswith("deep.json is left out: maximum recursion")


def test_what_if_takes_sizes_and_refuses_what_nothing_was_measured_for(plan: Plan) -> None:
    assert parse_what_if("actor=64,gpu=1") == ({"actor": 64}, 1)
    calibrated(plan).write()
    found = predict(plan, gpus=1)
    assert found.speed is None and "nothing was measured with a GPU" in found.source
    for wrong in ("actor", "actor=0", "actor=x", "=3", "actor=²"):
        with pytest.raises(InvalidInput, match="--what-if: .* is no size"):
            parse_what_if(wrong)
    for huge in ("actor=10001", "actor=" + "9" * 5000):
        with pytest.raises(InvalidInput, match="is too large. Take up to 10,000"):
            parse_what_if(huge)
    with pytest.raises(InvalidInput, match="'actor' is said twice"):
        parse_what_if("actor=1,actor=2")
    with pytest.raises(InvalidInput, match="--what-if: 'aktor' is no role"):
        resized(plan, {"aktor": 3})


def test_the_fewest_actors_for_a_target_are_proposed(plan: Plan) -> None:
    found = Found(calibrated(plan), (), ())
    assert propose(plan, 35_000, found).replicas["actor"] == 4
    with pytest.raises(InvalidInput, match="out of reach: .* 40,000, bounded by learner"):
        propose(plan, 50_000, found)
    with pytest.raises(InvalidInput, match="--target: no prediction"):
        propose(plan, 10, Found(None, (), ()))


def test_a_target_out_of_reach_is_told_the_fastest_size_and_not_the_last(plan: Plan) -> None:
    fast, slow = Service(1e-6, 1e-6), Service(20e-6, 20e-6)
    made = calibrated(plan, services={"actor": fast, "learner": fast}, more={"actor": fast, "learner": slow})
    with pytest.raises(InvalidInput, match="out of reach: 1 of actor make"):
        propose(plan, 1e9, Found(made, (), ()))


def priced(plan: Plan, actors: int) -> Plan:
    """The plan on machines that cost a dollar an hour for every actor, of which there is room for 50."""
    if actors > 50:
        raise InvalidInput("full")
    cost = PlannedCost(per_hour=float(actors), per_day=24.0 * actors)
    return resized(plan, {"actor": actors}).model_copy(update={"cost": cost})


def test_the_fastest_within_a_cost_is_proposed(plan: Plan) -> None:
    found = Found(calibrated(plan), (), ())
    hours_of_one = plan.config["total_steps"] / 10_000 / 3600

    def replan(sizes: Mapping[str, int]) -> Plan:
        return priced(plan, sizes["actor"])

    # Up to four actors cost the same, more of them wait for the learner.
    assert propose_within(plan, 1.01 * hours_of_one, replan, found).replicas["actor"] == 4
    with pytest.raises(InvalidInput, match=r"--target-cost: .* are too few\. The cheapest way costs"):
        propose_within(plan, 0.5 * hours_of_one, replan, found)
    with pytest.raises(InvalidInput, match="--target-cost: the cost is unknown"):
        propose_within(plan, 5, lambda sizes: resized(plan, sizes), found)


def test_a_resized_plan_forgets_the_cost_of_the_other_size(plan: Plan) -> None:
    assert resized(priced(plan, 3), {"actor": 5}).cost is None


def test_every_built_in_algorithm_that_acts_says_its_flow() -> None:
    from surreal.algorithms.registry import BUILT_IN

    acting = [each for each in BUILT_IN.values() if {"actor", "worker"} & {role.name for role in each.roles}]
    assert len(acting) >= 9
    for described in acting:
        assert described.flow is not None
        flow = described.flow(described.config(), {"id": "X-v0", "copies": 3})
        assert {flow.actor, flow.learner} <= {role.name for role in described.roles}
