"""A value that fits none of several models: one sentence, of the model that is meant where one clearly is."""

from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from surreal.algorithms.algorithm import Config
from surreal.protocol.documents.models import validated

Rate = Annotated[float, Field(gt=0)]


class Adam(Config):
    kind: Literal["adam"] = "adam"
    rate: Rate = 1e-3
    beta: float = 0.9


class Momentum(Config):
    kind: Literal["sgd"] = "sgd"
    rate: Rate = 1e-2
    momentum: float = 0.9


class Layers(Config):
    width: int = 8
    depth: int = 2

    @model_validator(mode="after")
    def _are_few(self) -> Self:
        if self.width * self.depth > 100:
            raise ValueError("width x depth is too much")
        return self


class Stored(Config):
    path: str
    size: int = 1


class Own(Config):
    optimizer: Adam | Momentum = Adam()
    network: Layers | Stored | None = None
    networks: list[Layers | Stored] = []
    named: dict[str, Layers | Stored] = {}
    tagged: Annotated[Adam | Momentum, Field(discriminator="kind")] = Adam()
    either: int | Layers = 1
    rows: list[int] | list[str] = []
    nested: Layers | list[Layers | Stored] = []
    pair: Annotated[tuple[int, Layers | Stored], Field(strict=False)] = (1, Layers())


BOTH = "fits neither Adam (beta, kind, rate) nor Momentum (kind, momentum, rate). Set one of them"
ANY_LAYERS = "allowed: depth, path, size, width"


@pytest.mark.parametrize(
    ("config", "key", "said"),
    [
        (
            {"optimizer": {"kind": "sgd", "beta": 1.0}},
            "optimizer.beta",
            "unknown key 'beta'; allowed: kind, momentum, rate",
        ),
        ({"optimizer": {"kind": "rms"}}, "optimizer.kind", "must be 'adam' or 'sgd', not 'rms'"),
        ({"optimizer": {"rate": -1}}, "optimizer.rate", "must be more than 0, not -1"),
        ({"optimizer": {"rate": -1, "momentum": 1.0}}, "optimizer.rate", "must be more than 0, not -1"),
        ({"optimizer": {"beta": 1.0, "momentum": 1.0}}, "optimizer", BOTH),
        ({"optimizer": 3}, "optimizer", "must be a mapping (key: value), not 3"),
        ({"network": {"width": "x"}}, "network.width", "must be a whole number, not 'x'"),
        ({"network": {"width": 99}}, "network", "width x depth is too much"),
        ({"network": {"size": 3}}, "network.path", "missing; it has no default"),
        ({"network": {"widht": 3}}, "network.widht", f"unknown key 'widht' (did you mean 'width'?); {ANY_LAYERS}"),
        ({"networks": [{"width": 1}, {"width": "x"}]}, "networks.1.width", "must be a whole number, not 'x'"),
        ({"named": {"one": {"size": "x", "path": "p"}}}, "named.one.size", "must be a whole number, not 'x'"),
        ({"tagged": {"kind": "sgd", "beta": 1.0}}, "tagged.beta", "unknown key 'beta'; allowed: kind, momentum, rate"),
        ({"tagged": {"kind": "rms"}}, "tagged.kind", "must be 'adam' or 'sgd', not 'rms'"),
        ({"tagged": {"rate": 1.0}}, "tagged.kind", "missing; must be 'adam' or 'sgd'"),
        ({"either": "x"}, "either", "must be a whole number or a mapping (key: value), not 'x'"),
        ({"either": {"width": "x"}}, "either.width", "must be a whole number, not 'x'"),
        ({"nested": [{"width": 1.0}, {"width": "x"}]}, "nested.1.width", "must be a whole number, not 'x'"),
        ({"pair": [1, {"width": "x"}]}, "pair.1.width", "must be a whole number, not 'x'"),
        ({"rows": [1, "x"]}, "rows", "fits neither list[int] nor list[str]. Set one of them"),
    ],
)
def test_one_sentence_is_said_of_a_value_that_fits_no_model(config: dict[str, Any], key: str, said: str) -> None:
    _, problems = validated(Own, config)
    assert [(".".join(map(str, path)), text) for path, text in problems] == [(key, said)]


class Unit:
    """A type that JSON Schema has no words for."""

    def __init__(self, text: str) -> None:
        self.text = text


class Measured(Config):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    unit: Annotated[Unit, BeforeValidator(Unit)] = Unit("m")
    steps: int = 10


def test_a_type_that_json_does_not_know_costs_no_sentence() -> None:
    found, problems = validated(Measured, {"steps": 1e6, "unit": "km"})
    assert found is not None and (found.steps, found.unit.text, problems) == (1_000_000, "km", [])
    assert validated(Measured, {"steps": "x"})[1] == [(("steps",), "must be a whole number, not 'x'")]
    said = "unknown key 'step' (did you mean 'steps'?); allowed: steps, unit"
    assert validated(Measured, {"step": 1})[1] == [(("step",), said)]


def test_a_whole_float_counts_as_a_whole_number_in_a_model_of_several() -> None:
    found, problems = validated(Own, {"network": {"width": 8.0}})
    assert not problems and found is not None
    assert found.network == Layers(width=8)
    found, problems = validated(Own, {"nested": [{"width": 2.0}], "pair": [1, {"width": 2.0}]})
    assert found and (found.nested, found.pair) == ([Layers(width=2)], (1, Layers(width=2)))
    _, problems = validated(Own, {"pair": (1, Layers(width=2)), "rows": (1.0,)})
    assert [path for path, _ in problems] == [("rows",)]
    _, problems = validated(Own, {"network": {"width": 8.0, "depth": "x"}})
    assert problems == [(("network", "depth"), "must be a whole number, not 'x'")]
