"""Sweep files and options are checked against the experiment before anything starts; points are repeatable."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.sweeps.load import by_key, grid_option, load_sweep, space_option, sweep_of
from surreal.orchestrator.sweeps.model import RangeSpec, SweepSpec, grid_points, random_point, sweep_schema
from surreal.orchestrator.sweeps.study import OptunaStudy
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.errors import InvalidInput

RATE, GAMMA = "spec.algorithm.config.learning_rate", "spec.algorithm.config.gamma"
EXPERIMENT = """\
apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata: {name: pole, labels: {team: rl}}
spec:
  env: {id: CartPole-v1}
  algorithm: {name: ppo, config: {total_steps: 4000}}
  seed: 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pole.yaml"
    path.write_text(EXPERIMENT)
    return path


def test_every_run_is_the_experiment_with_its_values_its_seed_and_its_group(file: Path) -> None:
    sweep = sweep_of(
        file, "lr", [], seeds=2, grid=dict([grid_option(f"{RATE}=1e-4,3e-4"), grid_option(f"{GAMMA}=0.9")])
    )
    points = grid_points(sweep.document.spec.grid)
    assert points == [{RATE: 1e-4, GAMMA: 0.9}, {RATE: 3e-4, GAMMA: 0.9}]
    run = sweep.run(1, points[1], sweep.seeds[1])
    assert (run.name, run.spec.seed, run.metadata.labels) == ("lr-1-s8", 8, {"team": "rl", "sweep": "lr", "trial": "1"})
    assert (run.spec.algorithm.config["learning_rate"], run.spec.algorithm.config["gamma"]) == (3e-4, 0.9)
    assert sweep_of(file, None, [], seeds=3).name == "pole-sweep"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"grid": {"spec.algorithm.config.learning_rat": [1]}},
            "unknown key 'learning_rat' .did you mean 'learning_rate'",
        ),
        ({"grid": {GAMMA: [0.9, 1.5]}}, f"{GAMMA}=1.5: must be 1 or less, not 1.5"),
        ({"space": {GAMMA: {"low": 0.9, "high": 1.5}}, "trials": 3}, f"{GAMMA}=1.5: must be 1 or less, not 1.5"),
        (
            {"space": {GAMMA: {"low": 0.9, "high": 0.5}}, "trials": 3},
            f"^--space {GAMMA}: low 0.9 is not below high 0.5. Exchange them.$",
        ),
        (
            {"space": {GAMMA: {"low": 0, "high": 1, "log": True}}, "trials": 3},
            f"^--space {GAMMA}: low 0 has no logarithm. [^\n]*$",
        ),
        ({"space": {GAMMA: [0.9]}}, "^--trials: a space needs a number of them"),
        ({"space": {GAMMA: [0.9]}, "grid": {RATE: [1]}, "trials": 2}, "it does not go with grid"),
        ({"grid": {GAMMA: [0.9]}, "sampler": "tpe"}, "sampler: 'tpe' draws from a space"),
        ({"grid": {GAMMA: [0.9]}, "sampler": "tpf"}, "^--sampler: must be 'grid'"),
        ({"space": {GAMMA: 3}, "trials": 3}, f"^--space {GAMMA}: must be a mapping .* or a list such as .*, not 3$"),
        ({"space": {GAMMA: {"low": "a", "high": 1}}, "trials": 3}, f"^--space {GAMMA}.low: must be a number, not 'a'$"),
        ({"space": {GAMMA: []}, "trials": 3}, f"^--space {GAMMA}: must have at least 1 items, not .*$"),
        ({"grid": {GAMMA: [0.9, 0.9]}}, f"^--grid {GAMMA}: 0.9 is there twice"),
        ({"space": {GAMMA: [1, 1.0]}, "trials": 3}, f"^--space {GAMMA}: 1.0 is there twice"),
        ({"grid": {"spec.seed": [1, 2]}}, "spec.seed: a sweep sets it itself. Use seeds"),
        ({"grid": {"spec.algorithm.config.gamma.x": [1]}}, "gamma is auto, which has no keys"),
        ({"seeds": 0}, "^--seeds: must be"),
    ],
)
def test_what_cannot_run_is_refused_with_its_key_and_value(file: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput, match=text.replace("(", r"\(")):
        sweep_of(file, "lr", [], **options)


def test_options_of_another_form_are_refused() -> None:
    assert grid_option("a.b=1, x, [2, 3]") == ("a.b", [1, "x", [2, 3]])
    assert space_option("a.b=1e-5..1e-2,log") == ("a.b", {"low": 1e-5, "high": 1e-2, "log": True})
    assert space_option("a.b=1..8") == ("a.b", {"low": 1, "high": 8})
    for wrong in ("a", "a=", "=1"):
        with pytest.raises(InvalidInput, match="must be path.to.key=value,value"):
            grid_option(wrong)
    for wrong in ("a=1", "a=1..2,lin", "=1..2"):
        with pytest.raises(InvalidInput, match=r"is no range. Write path.to.key=LOW..HIGH or =LOW..HIGH,log"):
            space_option(wrong)


def test_a_value_or_key_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--grid a.b: 0.0001 is there twice.*Leave one out, or add seeds"):
        grid_option("a.b=1e-4,0.0001")
    with pytest.raises(InvalidInput, match="--grid a.b: is given twice. Give all of it in one --grid."):
        by_key("--grid", map(grid_option, ("a.b=1", "a.b=2")))
    assert grid_option("a.b=1,true,'1'")[1] == [1, True, "1"]


def test_a_sweep_file_names_its_experiment_and_its_wrong_lines(file: Path) -> None:
    path = file.with_name("sweep.yaml")
    text = "apiVersion: surreal.dev/v1alpha1\nkind: Sweep\nmetadata: {name: lr}\nspec:\n  experiment: pole.yaml\n"
    path.write_text(f"{text}  grid: {{{RATE}: [1.0e-4, 3.0e-4]}}\n")
    assert load_sweep(path).experiment.name == "pole"
    path.write_text(f"{text}  gird: {{{RATE}: [1.0e-4, 3.0e-4]}}\n")
    with pytest.raises(InvalidInput, match=r"sweep.yaml:6: spec.gird: unknown key 'gird' .did you mean 'grid'"):
        load_sweep(path)


def test_a_random_point_depends_on_seed_and_number_alone() -> None:
    space: dict[str, Any] = {
        "a": RangeSpec(low=1e-5, high=1e-2, log=True),
        "b": RangeSpec(low=1, high=3),
        "c": ["x", "y"],
    }
    points = [random_point(space, 0, number) for number in range(200)]
    assert points[:3] == [random_point(space, 0, number) for number in range(3)]
    assert {point["b"] for point in points} == {1, 2, 3}
    assert all(1e-5 <= point["a"] <= 1e-2 for point in points)
    assert 60 < sum(point["a"] < 3e-4 for point in points) < 140
    assert random_point(space, 1, 0) != points[0]


def test_a_restarted_study_repeats_no_point_and_tries_a_lost_one_again(tmp_path: Path) -> None:
    spec = SweepSpec(experiment="x", space={"a": RangeSpec(low=0.0, high=1.0), "b": [[1], [2, 3]]}, trials=8)
    first, drawn = OptunaStudy(spec, tmp_path, {}), []
    for number in range(3):
        found = first.next(number)
        assert found is not None and found[1]["b"] in ([1], [2, 3])
        drawn.append(found[1]["a"])
        if number < 2:
            first.end(number, float(number), False)
    # Trial 2 was asked for, and the sweep died before it wrote it down.
    second = OptunaStudy(spec, tmp_path, {0: True, 1: True})
    lost = second.next(3)
    assert lost is not None and lost[1]["a"] == drawn[2]
    second.end(lost[0], 1.0, False)
    while found := second.next(4):
        drawn.append(found[1]["a"])
        second.end(found[0], 1.0, False)
    assert len(drawn) == len(set(drawn)) == 8


def test_a_sweep_where_an_experiment_is_meant_is_named(file: Path) -> None:
    path = file.with_name("sweep.yaml")
    path.write_text(
        "apiVersion: surreal.dev/v1alpha1\nkind: Sweep\nmetadata: {name: lr}\nspec: {experiment: pole.yaml}\n"
    )
    with pytest.raises(InvalidInput, match="'Sweep' is not an Experiment: .* Try: surreal sweep .*sweep.yaml"):
        load_experiment(path)
    jsonschema.Draft202012Validator(sweep_schema()).validate(strictyaml.load_file(path)[0])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**strictyaml.load_file(path)[0], "spec": {"seed": 1}}, sweep_schema())


def test_a_recorded_sweep_with_equal_values_is_read_as_it_was_begun(file: Path) -> None:
    from surreal.orchestrator.sweeps.model import SweepDocument

    spec = {"experiment": str(file), "grid": {"spec.algorithm.config.gamma": [0.9, 0.9]}}
    kind = {"apiVersion": "surreal.dev/v1alpha1", "kind": "Sweep", "metadata": {"name": "old"}}
    assert len(SweepDocument.model_validate({**kind, "spec": spec}).spec.grid["spec.algorithm.config.gamma"]) == 2


def test_a_value_of_an_option_that_is_no_yaml_is_refused_at_its_key_and_at_no_line() -> None:
    for read, text in ((grid_option, "a.b=[1"), (space_option, "a.b=[1..2")):
        with pytest.raises(InvalidInput, match=r"^--(grid|space) a\.b: not YAML"):
            read(text)
