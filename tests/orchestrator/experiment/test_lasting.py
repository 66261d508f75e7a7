"""What weights are learned with is found by what the network is, and named by the key that makes it another one."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from surreal.algorithms.algorithm import Config
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.config import ARSConfig, ESConfig
from surreal.algorithms.es.state import State as Evolution
from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.update import Updater as ImpalaUpdater
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.offline.config import BCConfig, CQLConfig, CRRConfig, IQLConfig, TD3BCConfig
from surreal.algorithms.offline.method import NAMES as OFFLINE_NAMES
from surreal.algorithms.offline.method import Method as OfflineMethod
from surreal.algorithms.offline.state import State as Offline
from surreal.algorithms.offpolicy.config import DDPGConfig, DQNConfig, SACConfig, TD3Config
from surreal.algorithms.offpolicy.method import NAMES, Method
from surreal.algorithms.offpolicy.state import State as OffPolicy
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater as PpoUpdater
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.rollouts.state import State as Rollouts
from surreal.orchestrator.experiment.lasting import lost
from surreal.protocol.errors import SurrealError

BOX, CHOICES = Spaces.flat(5, 3, discrete=False), Spaces.flat(5, 4, discrete=True)
ELSEWHERE = ("device", "gradients", "precision", "compile", "numba")
"""Keys of where and how numbers are computed, which may need torch or a GPU; engines have the same arrays."""


def rollouts(config: Any, updater: Any) -> Rollouts:
    config = config.of(layout) if (layout := make_model(config.network, BOX, config.hidden)) else config
    return Rollouts(BOX, config, updater(layout, config, 1))


MAKERS: dict[type[BaseModel], Callable[[Any], Any]] = {
    **{kind: lambda c: OffPolicy(Method(NAMES[type(c)], c), BOX, 1) for kind in (DDPGConfig, TD3Config, SACConfig)},
    DQNConfig: lambda c: OffPolicy(Method("dqn", c), CHOICES, 1),
    **{
        kind: lambda c: Offline(OfflineMethod(OFFLINE_NAMES[type(c).__name__], c, BOX), 1)
        for kind in (BCConfig, TD3BCConfig, CQLConfig, IQLConfig, CRRConfig)
    },
    **{kind: lambda c: Evolution(Layout.of(c, BOX), c, 1, 2) for kind in (ESConfig, ARSConfig)},
    PPOConfig: lambda c: rollouts(c, PpoUpdater),
    IMPALAConfig: lambda c: rollouts(c, ImpalaUpdater),
}


def others(config: BaseModel) -> Iterator[BaseModel]:
    """Configs with another value of one key: as many as can be thought of without knowing the key."""
    for key, field in type(config).model_fields.items():
        value, options = getattr(config, key), field.annotation
        tried = list(get_args(options)) if get_origin(options) is Literal else []
        if isinstance(value, bool) or value is None:
            tried = [not value]
        elif isinstance(value, list):
            tried = [[*value, 8]]
        elif isinstance(value, int | float):
            tried = [value + 1, value * 8]
        for other in tried if key not in ELSEWHERE else ():
            try:
                yield type(config)(**{**config.model_dump(), key: other})
            except ValidationError:
                continue


@pytest.mark.parametrize("kind", MAKERS, ids=lambda kind: kind.__name__)
def test_every_key_with_which_a_learner_does_not_take_a_checkpoint_is_refused_before(kind: type[Config]) -> None:
    given = {"hidden": [8], "dataset": "x"}
    config = kind(**{key: value for key, value in given.items() if key in kind.model_fields})
    saved, refused = MAKERS[kind](config).checkpoint(), 0
    for other in others(config):
        try:
            MAKERS[kind](other).restore(saved)
        except (SurrealError, ValueError, KeyError):
            assert list(lost(config, other)), other
            refused += 1
    assert refused


@pytest.mark.parametrize(
    ("config", "changes", "expected"),
    [
        (SACConfig(), {"critics": 3}, ("critics", "critics", "2", "3")),
        (SACConfig(), {"updates_per_step": 8.0}, ("updates_per_step", "layer_norm", "false", "true")),
        (TD3Config(), {"updates_per_step": 8.0}, ("updates_per_step", "layer_norm", "false", "true")),
        (TD3Config(updates_per_step=8.0), {"layer_norm": False}, ("layer_norm", "layer_norm", "true", "false")),
        (DQNConfig(), {"dueling": True}, ("dueling", "dueling", "false", "true")),
        (DDPGConfig(), {"hidden": [64]}, ("hidden", "hidden", "[256, 256]", "[64]")),
        (PPOConfig(), {"network": {"init": "default"}}, ("network.init", "network.init", "orthogonal", "default")),
        (PPOConfig(), {"network": {"squash": True}}, ("network.squash", "network.squash", "false", "true")),
        (R2D2Config(), {"dueling": False}, ("dueling", "dueling", "true", "false")),
        (IMPALAConfig(), {"optimizer": "rmsprop"}, ("optimizer", "optimizer", "adam", "rmsprop")),
        (ESConfig(), {"optimizer": "sgd"}, ("optimizer", "optimizer", "adam", "sgd")),
        (
            ARSConfig(),
            {"normalize_observations": "none"},
            ("normalize_observations", "normalize_observations", "running or virtual", "none"),
        ),
        (PPOConfig(), {"normalize_rewards": False}, ("normalize_rewards", "normalize_rewards", "true", "false")),
        (IQLConfig(dataset="x"), {"critics": 4}, ("critics", "critics", "2", "4")),
    ],
)
def test_it_is_named_by_the_key_that_was_set(
    config: Config, changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    (found,) = lost(config, type(config)(**{**config.model_dump(), **changes}))
    assert tuple(found) == expected


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (SACConfig(), {"updates_per_step": 8.0, "layer_norm": False}),
        (SACConfig(), {"updates_per_step": 4.0, "learning_rate": 1e-4}),
        (ESConfig(), {"normalize_observations": "virtual", "momentum": 0.5}),
        (PPOConfig(network={"std": "gsde"}), {"network": {"std": "gsde", "gsde_steps": 4}}),  # type: ignore[arg-type]
        (PPOConfig(), {"value_learning_rate": None, "epochs": 3}),
    ],
)
def test_what_leaves_the_weights_as_they_are_is_free(config: Config, changes: dict[str, Any]) -> None:
    assert not list(lost(config, type(config)(**{**config.model_dump(), **changes})))


def test_a_config_of_ones_own_keeps_its_network() -> None:
    class Own(BaseModel):
        hidden: list[int] = [4]
        rate: float = 1.0

    (found,) = lost(Own(), Own(hidden=[5], rate=2.0))
    assert found == ("hidden", "hidden", "[4]", "[5]")


def test_settings_of_a_network_of_ones_own_that_are_left_out_are_others() -> None:
    one, other = ({"make": "m:make", "width": width} if width else {"make": "m:make"} for width in (32, 0))
    (found,) = lost(PPOConfig(network=one), PPOConfig(network=other))  # type: ignore[arg-type]
    assert (found.key, np.sign(len(found.was))) == ("network.settings", 1)
