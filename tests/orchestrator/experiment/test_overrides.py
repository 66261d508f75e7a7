"""`--set` replaces one value of the file, as strictly as the file itself is read."""

from pathlib import Path

import pytest

from surreal.protocol.errors import InvalidInput
from tests.orchestrator.documents import VALID, load_text, spoiled


def test_a_value_is_replaced_by_what_yaml_reads(tmp_path: Path) -> None:
    experiment = load_text(
        tmp_path,
        VALID,
        "metadata.name=other",
        "spec.algorithm.config.learning_rate=1e-3",
        "spec.algorithm.config.hidden=[32, 32]",
        "spec.algorithm.config.stop_at_return=null",
        "spec.roles.actor.resources.memory=512Mi",
        "spec.roles.actor.env={A: '1'}",
        "spec.env.options={x: a=b}",
    )
    assert experiment.metadata.name == "other"
    config = experiment.spec.algorithm.config
    assert (config["learning_rate"], config["hidden"], config["stop_at_return"]) == (1e-3, [32, 32], None)
    actor = experiment.spec.roles["actor"]
    assert (actor.resources.memory, actor.env, actor.replicas) == (2**29, {"A": "1"}, 2)
    assert experiment.spec.env.options == {"x": "a=b"}


def test_the_last_of_two_overrides_counts(tmp_path: Path) -> None:
    assert load_text(tmp_path, VALID, "spec.seed=2", "spec.seed=3").spec.seed == 3


def test_mappings_on_the_way_are_made(tmp_path: Path) -> None:
    assert load_text(tmp_path, VALID, "spec.checkpoints.keep=9").spec.checkpoints.keep == 9


def test_an_override_can_mend_a_file(tmp_path: Path) -> None:
    assert load_text(tmp_path, spoiled("seed: 1", "seed: x"), "spec.seed=3").spec.seed == 3


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("spec.algoritm.config.clip=1", "--set spec.algoritm: unknown key 'algoritm' (did you mean 'algorithm'?)"),
        ("spec.algorithm.config.clp=1", "--set spec.algorithm.config.clp: unknown key 'clp' (did you mean 'clip'?)"),
        ("spec.algorithm.config.clip=-1", "--set spec.algorithm.config.clip: must be more than 0, not -1"),
        ("spec.algorithm.config.hidden=[0]", "--set spec.algorithm.config.hidden.0: must be 1 or more, not 0"),
        (
            "spec.algorithm.config.activation=relu",
            "--set spec.algorithm.config.activation: unknown key 'activation' (did you mean 'network.activation'?)",
        ),
        ("spec.algorithm.config={clp: 1}", "--set spec.algorithm.config.clp: unknown key 'clp' (did you mean 'clip'?)"),
        ("spec.algorithm.name=pp", "--set spec.algorithm.name: no algorithm 'pp' (did you mean 'ppo'?)"),
        ("spec.env.id=Hoper-v5", "--set spec.env.id: no environment 'Hoper-v5' (did you mean 'Hopper-v5'?)"),
        ("spec.roles.lerner.replicas=1", "--set spec.roles.lerner: unknown role 'lerner' (did you mean 'learner'?)"),
        ("metadata.name=A", "--set metadata.name: must be a DNS label"),
        (
            "metadata.name.x=1",
            "--set metadata.name.x: metadata.name is cheetah-ppo, which has no keys. Set that key itself.",
        ),
        ("spec.seed", "--set spec.seed: must be path.to.key=value. For example: --set spec.seed=3"),
        ("=3", "--set =3: must be path.to.key=value. For example: --set spec.seed=3"),
        ("spec..seed=3", "--set spec..seed=3: must be path.to.key=value. For example: --set spec.seed=3"),
        ("spec.seed=", "--set spec.seed=: has no value. Write null or '' for none."),
        ("spec.seed=!!int 3", "--set spec.seed: tags"),
        ("spec.seed=.nan", "--set spec.seed: numbers must be finite"),
    ],
)
def test_a_wrong_override_is_named_as_such(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_text(tmp_path, VALID, override)
    assert str(caught.value).startswith(said)


def test_an_item_of_a_list_is_set_with_the_whole_list(tmp_path: Path) -> None:
    text = spoiled("total_steps: 1_000_000", "hidden: [64]")
    with pytest.raises(InvalidInput, match="is a list. Set the whole of it"):
        load_text(tmp_path, text, "spec.algorithm.config.hidden.0=3")


def test_a_document_that_is_no_mapping_takes_no_override(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--set spec.seed: the document is a list"):
        load_text(tmp_path, "[1]", "spec.seed=3")
