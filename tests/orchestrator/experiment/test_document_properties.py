"""Properties of the documents that hold for every experiment, not only for those someone thought of."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.pools.model import NodePool
from tests.orchestrator.documents import VALID, load_text

# a busy machine may be slow; that is no failure
patient = settings(deadline=None)

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
options = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
variables = st.dictionaries(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    max_size=3,
)
resources = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.floats(0.01, 8) | st.integers(1, 8000).map(lambda n: f"{n}m"),
        "memory": st.integers(1, 2**33) | st.integers(1, 4096).map(lambda n: f"{n}Mi"),
        "gpu": st.integers(0, 1),
    },
)
shared = {"resources": resources, "pool": st.none() | texts, "spot": st.none() | st.booleans(), "env": variables}
config = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.floats(1e-9, 1),
        "hidden": st.lists(st.integers(1, 512), min_size=1, max_size=3),
        "stop_at_return": st.none() | st.floats(-1e6, 1e6),
        "objective": st.sampled_from(["clip"]),
    },
)
spec = st.fixed_dictionaries(
    {
        "env": st.fixed_dictionaries(
            {"id": st.sampled_from(["HalfCheetah-v5", "CartPole-v1", "mine:Maze-v0"])},
            optional={"copies": st.integers(1, 64), "options": st.dictionaries(texts, options, max_size=3)},
        ),
        "algorithm": st.fixed_dictionaries({"name": st.just("ppo")}, optional={"config": config}),
    },
    optional={
        "roles": st.fixed_dictionaries(
            {},
            optional={
                "actor": st.fixed_dictionaries({}, optional={**shared, "replicas": st.integers(1, 100)}),
                "learner": st.fixed_dictionaries({}, optional=shared),
            },
        ),
        "channels": st.fixed_dictionaries(
            {},
            optional={
                "weights": st.fixed_dictionaries(
                    {}, optional={"relays": st.integers(0, 9), "dtype": st.sampled_from([None, "bfloat16"])}
                )
            },
        ),
        "seed": st.integers(0, 2**32 - 1),
        "checkpoints": st.fixed_dictionaries(
            {}, optional={"everySeconds": st.floats(0.1, 1e6), "keep": st.integers(1, 9)}
        ),
    },
)
experiments = st.fixed_dictionaries({"metadata": st.fixed_dictionaries({"name": labels}), "spec": spec})

POOL = NodePool(name="local", nodes=1, cpu=64, memory=2**36, gpus=1)


@patient
@given(experiments)
def test_an_experiment_written_and_loaded_is_the_same(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    experiment = Experiment.from_data(data)
    again = load_text(tmp_path_factory.getbasetemp(), experiment.to_yaml())
    assert again == experiment
    assert again.to_data() == experiment.to_data()


@patient
@given(experiments)
def test_a_plan_is_the_same_each_time_and_survives_json(data: Any) -> None:
    plan = make_plan(Experiment.from_data(data), [POOL])
    assert plan == make_plan(Experiment.from_data(data), [POOL])
    assert Plan.from_json(plan.to_json()) == plan


@patient
@given(experiments)
def test_each_channel_joins_roles_of_the_plan_and_one_process_listens(data: Any) -> None:
    plan = make_plan(Experiment.from_data(data), [POOL])
    names = [role.name for role in plan.roles]
    assert len(set(names)) == len(names)
    assert sum(role.ends_run for role in plan.roles) == 1
    for channel in plan.channels:
        assert {*channel.frm, *channel.to} <= set(names)
        assert plan.role(channel.binds).replicas == 1
        listening, connecting = (channel.to, channel.frm) if channel.kind == "stream" else (channel.frm, channel.to)
        assert listening == (channel.binds,)
        assert channel.binds not in connecting


@patient
@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    with pytest.raises(InvalidInput):
        load_text(tmp_path_factory.getbasetemp(), content)


pieces = st.sampled_from(
    [
        *VALID.splitlines(keepends=True),
        *"[]{},:-?!&*|>%@`#~\n\t '\"\\",
        "- ",
        ": ",
        "\n  ",
        "1",
        "1e9",
        "null",
        "\\U",
        "\\x",
    ]
)


@patient
@given(st.lists(pieces, max_size=40).map("".join))
def test_no_heap_of_yaml_pieces_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        load_text(tmp_path_factory.getbasetemp(), text)
    except InvalidInput as error:
        assert str(error)


@patient
@given(st.data())
def test_no_value_of_another_type_breaks_the_checks(data: st.DataObject) -> None:
    document = Experiment.from_data(
        {"metadata": {"name": "x"}, "spec": {"env": {"id": "a:b"}, "algorithm": {"name": "ppo"}}}
    )
    spoilt = document.to_data()
    node, key = spoilt, data.draw(st.sampled_from(sorted(spoilt)))
    while isinstance(node[key], dict) and node[key] and data.draw(st.booleans()):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node)))
    node[key] = data.draw(options)
    try:
        Experiment.from_data(spoilt)
    except InvalidInput as error:
        assert str(error)


@patient
@example("[", "0")
@given(texts, texts)
def test_no_override_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, path: str, value: str) -> None:
    for override in (path, f"{path}={value}", f"spec.{path}={value}", f"spec.seed={value}"):
        try:
            load_text(tmp_path_factory.getbasetemp(), VALID, override)
        except InvalidInput as error:
            assert str(error)
