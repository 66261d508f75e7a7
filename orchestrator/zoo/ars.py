"""Entries for augmented random search."""

from typing import Any

from surreal.orchestrator.zoo.draft import Draft
from surreal.orchestrator.zoo.values import mapping, schedule, whole


def ars(draft: Draft) -> None:
    """Translate an entry of ars.yml."""
    directions = draft.take("n_delta", 8, whole)
    rate, noise = draft.take("learning_rate", 0.02, schedule), draft.take("delta_std", 0.05, schedule)
    draft.config |= {
        "total_steps": draft.take("n_timesteps", 1e6, whole),
        "directions": directions,
        "top": min(draft.take("n_top", directions, whole), directions),
        "sigma": noise.value,
        "learning_rate": rate.value,
        "survival_bonus": -float(draft.take("alive_bonus_offset", 0)),
        "deterministic": True,
    }
    for key, value in (("learning_rate", rate), ("delta_std", noise)):
        if value.falls:
            draft.cannot(key, f"lin_{value.value:g}", "stays as it begins")
    _normalization(draft)
    _policy(draft)
    episodes = draft.take("n_eval_episodes", 1, whole)
    if episodes != 1:
        draft.cannot("n_eval_episodes", episodes, "each direction is tried in one episode each way")


def _normalization(draft: Draft) -> None:
    given = draft.take("normalize", False)
    kwargs: dict[str, Any] = {"norm_obs": given, "norm_reward": False}
    if isinstance(given, str | dict):
        kwargs = {"norm_obs": True, "norm_reward": True} | mapping(given)
    draft.config["normalize_observations"] = "running" if kwargs.pop("norm_obs") else "none"
    for key, value in kwargs.items():
        if value:
            draft.cannot(f"normalize.{key}", value, "returns are divided by their standard deviation instead")


def _policy(draft: Draft) -> None:
    policy, kwargs = str(draft.take("policy", "LinearPolicy")), draft.take("policy_kwargs", None, mapping)
    draft.refuse_images(policy)
    if policy != "LinearPolicy":
        draft.cannot("policy", f"{policy} {kwargs.pop('net_arch', '')}".strip(), "policies of ars are linear")
    for key, value in kwargs.items():
        draft.cannot(f"policy_kwargs.{key}", value, "policies of ars are linear")
    if not draft.take("zero_policy", True):
        draft.cannot("zero_policy", False, "linear policies start at zero")
