"""From an entry of a hyperparameter file of rl-baselines3-zoo to the text of an experiment file."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from surreal.algorithms.registry import algorithms
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import sized
from surreal.orchestrator.zoo.ars import ars
from surreal.orchestrator.zoo.draft import Draft, Untranslated
from surreal.orchestrator.zoo.environment import environment
from surreal.orchestrator.zoo.offpolicy import ddpg, dqn, sac, td3
from surreal.orchestrator.zoo.ppo import a2c, ppo, ppo_lstm
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from surreal.protocol.documents.models import API_VERSION
from surreal.protocol.errors import InvalidInput, did_you_mean

TRANSLATIONS: Mapping[str, tuple[str, Callable[[Draft], None]]] = {
    "ppo": ("ppo", ppo),
    "ppo_lstm": ("ppo", ppo_lstm),
    "a2c": ("ppo", a2c),
    "ars": ("ars", ars),
    "ddpg": ("ddpg", ddpg),
    "td3": ("td3", td3),
    "sac": ("sac", sac),
    "dqn": ("dqn", dqn),
}
"""Algorithm of the zoo, the name of its file -> our algorithm, the translation of its entries."""
GAME = re.compile(r"(?:ALE/)?(?P<name>[A-Za-z0-9]+?)(?:NoFrameskip-v4|-v5)")
RETIRED = re.compile(r"-v[0-3]$")
MUJOCO = {
    *("Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum"),
    *("InvertedPendulum", "Pusher", "Reacher", "Swimmer", "Walker2d"),
}


class Translated(NamedTuple):
    """An experiment, and what of the entry is not in it."""

    data: dict[str, Any]
    """Content of the experiment file."""
    entry: str
    untranslated: tuple[Untranslated, ...]

    def text(self, source: str) -> str:
        """Return the experiment file, which says in its head where it comes from and what is missing."""
        head = [f"# From {self.entry} of {source}, by `surreal import zoo`."]
        head += ["# Not translated:"] if self.untranslated else []
        head += [f"#   {each}" for each in self.untranslated]
        return "\n".join(head) + "\n" + strictyaml.dump(self.data)


def translate(file: Path, env_id: str, algorithm: str | None = None) -> Translated:
    """Return the entry for `env_id` of a file of the zoo as an experiment.

    The algorithm is by default the one that the file is named for. Raises InvalidInput for a file or an entry that
    cannot be read, and for an algorithm or environment that is not known here.
    """
    entries = strictyaml.load_foreign(file)
    name = algorithm or file.stem
    if name not in TRANSLATIONS:
        raise InvalidInput(
            f"--algorithm: {name!r} is not translated{did_you_mean(name, TRANSLATIONS)}. "
            f"Name one of {', '.join(TRANSLATIONS)}."
        )
    key, made_as, said = find(entries, env_id, file)
    ours, translation = TRANSLATIONS[name]
    if ours not in algorithms():
        raise InvalidInput(f"--algorithm: this surreal has no {ours!r}. Use another file of the zoo, such as ppo.yml.")
    draft = Draft(entries[key], algorithms()[ours])
    draft.untranslated += said
    try:
        environment(draft, made_as)
        translation(draft)
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {key}: {error}") from None
    draft.finish()
    data = _data(name, ours, draft)
    sized(Experiment.from_data(data, Source(f"{file}: {key}")))  # which refuses what a plan would
    return Translated(data, key, tuple(draft.untranslated))


def find(entries: Mapping[str, Any], env_id: str, file: Path) -> tuple[str, str, list[Untranslated]]:
    """Return the entry's key, the environment's id for gymnasium, and what differs between the two.

    An id (`module:Id-v0` where a package has to register it) has its own entry, that of another version of it, that of
    all Atari games, or the default one.
    """
    game, bare = GAME.fullmatch(env_id), env_id.rpartition(":")[2]
    if bare in entries:
        return bare, _present(env_id), _version(bare, _present(bare))
    if game and "atari" in entries and (env_id.startswith("ALE/") or "NoFrameskip" in env_id):
        return "atari", f"ALE/{game['name']}-v5", []
    base = bare.rpartition("-v")[0]
    same = [key for key in entries if base and key.rpartition("-v")[0] == base]
    if same:
        return same[-1], env_id, _version(same[-1], env_id)
    if "default" in entries:
        return "default", env_id, [Untranslated("entry", env_id, "has none of its own; these are the file's defaults")]
    raise InvalidInput(f"--env: {env_id!r} has no entry in {file}{did_you_mean(env_id, entries)}. Name one that has.")


def _present(env_id: str) -> str:
    """Return the id of the version that gymnasium still has: MuJoCo's v2 and v3 need a package that is gone."""
    name = env_id.rpartition("-v")[0]
    return f"{name}-v5" if name in MUJOCO and RETIRED.search(env_id) else env_id


def _version(tuned: str, used: str) -> list[Untranslated]:
    return [] if tuned == used else [Untranslated("entry", tuned, f"is used for {used}")]


def _data(name: str, algorithm: str, draft: Draft) -> dict[str, Any]:
    """Return the data of an experiment file; what is as by default is left out."""
    run = re.sub(r"[^a-z0-9]+", "-", f"{draft.env['id'].rpartition('/')[2].rpartition('-v')[0]}-{name}".lower())
    roles = {role.name: {"replicas": draft.actors} for role in draft.algorithm.roles if role.scalable}
    fields = draft.algorithm.config.model_fields
    config = {key: value for key, value in draft.config.items() if key in fields and value != fields[key].default}
    return {
        "apiVersion": API_VERSION,
        "kind": "Experiment",
        "metadata": {"name": run.strip("-")[:60]},
        "spec": {
            "env": draft.env,
            "algorithm": {"name": algorithm, "config": config},
            "roles": roles,
        },
    }
