"""The environment of an entry: its id, its copies, its wrappers."""

from collections.abc import Mapping, Sequence
from typing import Any

from surreal.algorithms.environments.atari import PRESETS
from surreal.orchestrator.zoo.draft import Draft
from surreal.orchestrator.zoo.values import whole
from surreal.protocol.errors import InvalidInput

ATARI = "stable_baselines3.common.atari_wrappers.AtariWrapper"
KNOWN: Mapping[str, tuple[str, Mapping[str, str | None]]] = {
    "rl_zoo3.wrappers.FrameSkip": ("skip", {"skip": "steps"}),
    "rl_zoo3.wrappers.YAMLCompatResizeObservation": ("resize", {"shape": ""}),
    "gymnasium.wrappers.transform_observation.GrayscaleObservation": ("grey", {"keep_dim": None}),
    "gymnasium.wrappers.time_limit.TimeLimit": ("time_limit", {"max_episode_steps": "steps"}),
    "sb3_contrib.common.wrappers.TimeFeatureWrapper": ("time_feature", {}),
}
"""Wrapper of the zoo -> (ours, its arguments under our names; the empty one is given by position, None means nothing
here)."""


def environment(draft: Draft, env_id: str) -> None:
    """Translate the keys of an entry that are about its environment `env_id`."""
    wrappers: list[Any] = []
    options: dict[str, Any] = {}
    for name, arguments in _listed(draft.take("env_wrapper")):
        if name == ATARI:
            wrappers += _atari(draft, arguments)
            options |= PRESETS["atari"].options if wrappers != ["atari"] else {}
        else:
            wrappers.append(_wrapper(draft, name, arguments))
    frames = draft.take("frame_stack", 1, whole)
    if frames > 1 and "atari" not in wrappers:
        wrappers.append({"stack": frames})
    draft.env = {"id": env_id, "copies": draft.take("n_envs", 1, whole)}
    options |= draft.take("env_kwargs", {}) or {}
    draft.env |= {key: value for key, value in (("options", options), ("wrappers", wrappers)) if value}
    for key in ("vec_env_wrapper", "callback", "monitor_kwargs"):
        if key in draft.left:
            draft.cannot(key, draft.take(key), "is of Stable-Baselines3; spec.env.wrappers wrap single environments")


def _listed(given: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return (class, arguments) of each wrapper of a name, a mapping or a list of them."""
    entries: Sequence[Any] = given if isinstance(given, list) else [given] if given else []
    found: list[tuple[str, dict[str, Any]]] = []
    for entry in entries:
        if isinstance(entry, str):
            found.append((entry, {}))
        elif isinstance(entry, Mapping) and len(entry) == 1:
            ((name, arguments),) = entry.items()
            found.append((str(name), dict(arguments or {})))
        else:
            raise InvalidInput(f"env_wrapper: {entry!r} is no wrapper. Write the class, or {{class: arguments}}.")
    return found


def _atari(draft: Draft, arguments: dict[str, Any]) -> list[Any]:
    """Return the preset, or its parts where the entry wants another thing than the preset has."""
    usual = {"noop_max": 30, "frame_skip": 4, "screen_size": 84, "terminal_on_life_loss": True, "clip_reward": True}
    other = {key: arguments.pop(key) for key in list(arguments) if key in usual}
    sticky = arguments.pop("action_repeat_probability", 0.0)
    for key, value in arguments.items():
        draft.cannot(f"env_wrapper.{key}", value, "is unknown of AtariWrapper")
    want = usual | other
    if want == usual and not sticky and draft.left.get("frame_stack") == 4:
        return ["atari"]
    screen = {"size": want["screen_size"], "skip": want["frame_skip"], "noops": want["noop_max"]}
    parts: list[tuple[bool, Any]] = [
        (bool(sticky), {"sticky": sticky}),
        (True, {"atari_screen": screen}),
        (want["terminal_on_life_loss"], "episodic_life"),
        (True, "fire_reset"),
        (want["clip_reward"], "clip_reward"),
    ]
    return [part for wanted, part in parts if wanted]


def _wrapper(draft: Draft, name: str, arguments: dict[str, Any]) -> Any:
    """Return the entry of a wrapper; one that is not known here becomes one's own, by its class."""
    if name not in KNOWN:
        module, _, attribute = name.rpartition(".")
        draft.cannot("env_wrapper", name, f"is used as it is; workers need the package of {module.partition('.')[0]}")
        own = f"{module}:{attribute}"
        return {own: arguments} if arguments else own
    ours, names = KNOWN[name]
    given = {to: value for key, value in arguments.items() if (to := names.get(key)) is not None}
    for key, value in arguments.items():
        if key not in names:
            draft.cannot(f"env_wrapper.{key}", value, f"has no counterpart of {ours}")
    if "" in given:
        return {ours: list(given[""])}
    return {ours: given} if given else ours
