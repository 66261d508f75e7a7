"""Keys that have an effect only beside others: one sentence where they have none."""

from pydantic import BaseModel, Field

from surreal.algorithms.algorithm import Config
from surreal.protocol.documents.effects import SOME, Only, idle_keys


class Noise(Config):
    only = [Only("clip", where={"size": SOME})]
    size: float = 0.2
    clip: float = 0.5


class Loud(Config):
    only = [Only("kind", where={"the actions": "numbers"}), Only("kind", where={"loud": True})]
    loud: bool = True
    kind: str = "ou"
    noise: Noise = Noise(clip=1.0)


class Louder(Loud):
    only = [
        Only("rate", where={"noise.size": SOME, "mode": ("a", "b")}),
        Only("mode", value="c", where={"loud": True}),
        Only("loud", never="in what is always loud"),
    ]
    rate: float = 1.0
    mode: str | None = "a"


def said(model: BaseModel, actions: str | None = None) -> dict[str, str]:
    return {
        ".".join(map(str, path)): text for path, text in idle_keys(model, {"the actions": actions} if actions else None)
    }


def test_defaults_and_keys_that_have_an_effect_are_not_named() -> None:
    assert said(Louder(), "numbers") == said(Louder(rate=2.0, mode="b", kind="x", noise=Noise(clip=3.0))) == {}
    # what a field of a model gives as its default is no choice of the file
    assert said(Louder(noise=Noise(size=0.0, clip=1.0))) == {}


def test_a_key_without_an_effect_is_named_with_the_reason_and_what_to_do() -> None:
    assert said(Louder(rate=2.0, mode=None)) == {
        "rate": "2 has no effect with mode: null. Leave it out, or set mode: a or b."
    }
    assert said(Louder(rate=2.0, noise=Noise(size=0.0, clip=3.0))) == {
        "rate": "2 has no effect with noise.size: 0. Leave it out, or set noise.size.",
        "noise.clip": "3 has no effect with size: 0. Leave it out, or set size.",
    }


def test_a_condition_may_be_of_one_value_of_its_key_or_never_hold() -> None:
    assert said(Louder(loud=False, mode="b")) == {"loud": "false has no effect in what is always loud. Leave it out."}
    assert said(Louder(loud=False, mode="c"))["mode"] == (
        "c has no effect with loud: false. Leave it out, or set loud: true."
    )


def test_what_is_not_known_of_the_environment_is_no_reason() -> None:
    assert said(Loud(kind="x")) == said(Loud(kind="x"), "numbers") == {}
    assert said(Loud(kind="x"), "choices") == {"kind": "x has no effect where the actions are choices. Leave it out."}
    assert said(Loud(kind="x", loud=False), "numbers")["kind"].startswith("x has no effect with loud: false")


class Quiet(Louder):
    """A model of a person, with a default of its own and a part in place of another."""

    size: float = 0.5
    hum: Noise = Field(default_factory=lambda data: Noise(size=data["size"], clip=1.0))


class Silence(Config):
    depth: int = 1


class Silent(Louder):
    noise: Silence = Silence()  # type: ignore[assignment]


def test_models_of_ones_own_may_have_other_defaults_and_parts() -> None:
    assert said(Quiet(size=0.0)) == {}
    assert said(Quiet(hum=Noise(size=0.0, clip=2.0))).keys() == {"hum.clip"}
    assert said(Silent(rate=2.0)) == {}
