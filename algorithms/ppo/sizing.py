"""Meaning of PPO's settings together: notes and warnings of a plan, and what is refused."""

from collections.abc import Iterator, Mapping
from typing import Any

from surreal.algorithms.algorithm import Sizing
from surreal.algorithms.inference import graph as inference
from surreal.algorithms.models.config import IMAGE_ENCODERS, OF_IMAGES
from surreal.algorithms.ppo.config import Decided, PPOConfig
from surreal.algorithms.rollouts.config import ACTIONS, network_notes


def sizing(config: PPOConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what the settings mean together with `replicas` actors and `env`'s copies, and what is meaningless."""
    actors, copies = replicas["actor"], int(env["copies"])
    batch = config.fragment_steps * copies * actors
    size = f"{config.fragment_steps} fragment_steps x {copies} copies x {actors} actors = {batch:,}"
    compiles, said = bool(config.numba), config.minibatch is not None
    config = _decided(config, env, batch)
    engine = tuple(network_notes(config, env))
    problems = (*_unshared(config, replicas), *_problems(config, batch, size, said))
    notes = (
        f"a batch has {size} transitions, an update {config.epochs} x {-(-batch // config.minibatch):,} "
        f"minibatches of {min(config.minibatch, batch):,}",
        *_sequences(config),
        *_shared(config, replicas),
        *engine,
        *_step_sizes(config, env),
        ACTIONS[env.get("action_scaling", "auto")],
        *inference.notes(config, replicas, env),
    )
    warnings = [*inference.warnings(config, replicas, env)]
    # that `gradients: autograd` leaves it without effect, every plan says
    if compiles and config.gradients != "autograd" and not any("by hand" in note for note in engine):
        warnings.append("numba has no effect: it compiles gradients by hand, and these are by autograd. Remove it.")
    return Sizing(notes, tuple(warnings), problems)


def _decided(config: PPOConfig, env: Mapping[str, Any], batch: int) -> Decided:
    """Return `config` as a run has it, as far as a plan knows `env`: not which actions there are, which no note says.

    A minibatch that is not set is at most a batch.
    """
    network, note = config.network, str(env.get("network", ""))
    convolved = any(kind in IMAGE_ENCODERS for kind in (network.encoder, *network.encoders.values()))
    known = config.decided(OF_IMAGES in note if note else convolved, False)
    return known if config.minibatch else known.model_copy(update={"minibatch": min(known.minibatch, batch)})


def _step_sizes(config: PPOConfig, env: Mapping[str, Any]) -> Iterator[str]:
    """Yield the step sizes of networks that share nothing; or that a second one was asked for in vain."""
    network, policy, values = config.network, config.learning_rate, config.value_learning_rate
    # the note lists the parts of a network that was looked at
    encoder = "encoder" in str(env.get("network", ""))
    if not (network.make or network.trunk or network.memory or network.shared or encoder):
        if values not in (None, policy):
            text = f"the policy learns with a step size of {policy:g}, the value with {values:g} (value_learning_rate)"
            most = config.value_step_inputs
            yield text if most is None else f"{text}, less in layers of more than {most} inputs (value_step_inputs)"
        return
    for key in ("value_learning_rate", "value_step_inputs"):
        if getattr(config, key) not in (None, type(config).model_fields[key].default):
            yield f"{key} has no effect: policy and value share a part of their network, or it is your own"


def _sequences(config: Decided) -> Iterator[str]:
    if config.network.memory is not None:
        together = max(1, config.minibatch // config.sequence)
        yield f"a minibatch is {together} {'sequence' if together == 1 else 'sequences'} of {config.sequence} steps"


def _shared(config: Decided, replicas: Mapping[str, int]) -> Iterator[str]:
    """Yield how several learners share the work."""
    learners, actors = replicas.get("learner", 1), replicas["actor"]
    if learners > 1:
        most = -(-actors // learners)
        each = f"{most}" if actors % learners == 0 else f"{actors // learners} or {most}"
        yield (
            f"{learners} learners make each update together: each has the fragments of {each} of {actors} actors, and "
            f"about {config.minibatch / learners:,.0f} of a minibatch's {config.minibatch:,} rows; they add their "
            "gradients"
        )


def _unshared(config: Decided, replicas: Mapping[str, int]) -> Iterator[tuple[str | tuple[str, ...], str]]:
    """Yield what several learners cannot share."""
    learners, actors = replicas.get("learner", 1), replicas["actor"]
    here = ("roles", "learner", "replicas")
    if learners > actors:
        text = f"{learners} learners cannot share the fragments of {actors} actors"
        yield here, f"{text}. Set at most {actors}, or more actors."
    elif learners > config.minibatch:
        yield here, f"{learners} learners cannot share a minibatch of {config.minibatch}. Set at most that many."
    if learners > 1 and config.objective == "adaptive-kl":
        text = f"'adaptive-kl' weighs the KL of a whole minibatch, and each of {learners} learners sees a part"
        yield "objective", f"{text}. Set clip, or one learner."


def _problems(config: Decided, batch: int, size: str, said: bool) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for settings that are each allowed and together mean nothing."""
    minibatch = config.minibatch
    named = f"{minibatch}" if said else f"the default, here {minibatch},"
    if minibatch > batch:
        yield "minibatch", f"{minibatch} is more than a batch has ({size}). Set at most {batch}."
        return
    if not config.normalize_advantages:
        return
    # Mean and deviation of one advantage make it zero: such a step learns nothing.
    if minibatch == 1:
        yield "minibatch", f"{named} learns nothing with normalize_advantages: true. Set at least 2, or turn that off."
    elif batch % minibatch == 1:
        near = next(n for n in range(minibatch + 1, batch + 2) if batch % n != 1 or n > batch)
        rest = f"{named} leaves a last minibatch of one of {batch:,} ({size}), which learns nothing"
        yield "minibatch", f"{rest} with normalize_advantages: true. Set {min(near, batch)} or another divisor."
