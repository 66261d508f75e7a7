"""Entries for PPO, PPO with an LSTM, and A2C, which is PPO's first gradient step."""

from typing import Any

from surreal.orchestrator.zoo.draft import Draft
from surreal.orchestrator.zoo.values import mapping, schedule, whole
from surreal.protocol.errors import InvalidInput

ACTIVATIONS = {"ReLU": "relu", "Tanh": "tanh", "SiLU": "silu"}
SAME: dict[str, tuple[str, Any]] = {
    "gamma": ("gamma", 0.99),
    "gae_lambda": ("gae_lambda", 0.95),
    "vf_coef": ("value_coef", 0.5),
    "max_grad_norm": ("max_grad_norm", 0.5),
    "normalize_advantage": ("normalize_advantages", True),
}
"""Keys of one meaning, with Stable-Baselines3's defaults, which differ from ours."""


def ppo(draft: Draft) -> None:
    """Translate an entry of ppo.yml."""
    steps, minibatch = draft.take("n_steps", 2048, whole), draft.take("batch_size", 64, whole)
    batch = steps * draft.env["copies"]
    if minibatch > batch:
        draft.cannot("batch_size", minibatch, f"a batch has {batch} transitions, which are its one minibatch")
    draft.config |= {
        "fragment_steps": steps,
        "minibatch": min(minibatch, batch),
        "epochs": draft.take("n_epochs", 10, whole),
        "value_clip": draft.take("clip_range_vf"),
        "target_kl": draft.take("target_kl"),
    }
    clip = draft.take("clip_range", 0.2, schedule)
    draft.config["clip"] = clip.value
    draft.config["anneal_clip"] = clip.falls
    _actor_critic(draft, SAME, 3e-4)


def a2c(draft: Draft) -> None:
    """Translate an entry of a2c.yml: one epoch of one minibatch, where the clipped surrogate is the policy gradient."""
    steps = draft.take("n_steps", 5, whole)
    defaults = {"gae_lambda": ("gae_lambda", 1.0), "normalize_advantage": ("normalize_advantages", False)}
    draft.config |= {"fragment_steps": steps, "minibatch": steps * draft.env["copies"], "epochs": 1}
    if draft.take("use_rms_prop", True):
        draft.cannot("use_rms_prop", True, "the optimizer is Adam")
    _actor_critic(draft, SAME | defaults, 7e-4)


def ppo_lstm(draft: Draft) -> None:
    """Translate an entry of ppo_lstm.yml: PPO on a network with memory."""
    kwargs = draft.take("policy_kwargs", None, mapping)
    size = kwargs.pop("lstm_hidden_size", 256)
    for key in ("enable_critic_lstm", "n_lstm_layers", "shared_lstm"):
        if key in kwargs:
            draft.cannot(f"policy_kwargs.{key}", kwargs.pop(key), "policy and value share one LSTM of one layer")
    draft.left["policy_kwargs"] = kwargs
    ppo(draft)
    draft.config["network"] = {**draft.config.get("network", {}), "memory": {"kind": "lstm", "size": size}}
    steps, minibatch = draft.config["fragment_steps"], draft.config["minibatch"]
    if minibatch < steps:
        draft.cannot("batch_size", minibatch, f"a minibatch has one sequence of {steps} steps at least")
    draft.config["minibatch"] = max(minibatch, steps)


def _actor_critic(draft: Draft, same: dict[str, tuple[str, Any]], learning_rate: float) -> None:
    """Translate what all three have: the names above, the step size, normalisation and the network."""
    config = draft.config
    draft.copy(same)
    entropy = draft.take("ent_coef", 0.0, schedule)
    config["entropy_coef"] = entropy.value
    if entropy.falls:
        config["entropy_coef_final"] = 0.0
    rate = draft.take("learning_rate", learning_rate, schedule)
    config |= {
        "total_steps": draft.take("n_timesteps", 1e6, whole),
        "learning_rate": rate.value,
        "anneal": rate.falls,
        # Stable-Baselines3 has none of these four.
        "value_learning_rate": None,
        "desired_kl": None,
        "recompute_returns": False,
        "max_staleness": 0,
    }
    draft.env["actionScaling"] = "none"
    _normalization(draft)
    _network(draft)


def _normalization(draft: Draft) -> None:
    given = draft.take("normalize", False)
    kwargs: dict[str, Any] = {"norm_obs": given, "norm_reward": given}
    if isinstance(given, str | dict):
        kwargs = {"norm_obs": True, "norm_reward": True} | mapping(given)
    draft.config["normalize_observations"] = bool(kwargs.pop("norm_obs"))
    draft.config["normalize_rewards"] = bool(kwargs.pop("norm_reward"))
    for key, value in (kwargs | draft.take("normalize_kwargs", {}, mapping)).items():
        draft.cannot(f"normalize.{key}", value, "has no counterpart")


def _network(draft: Draft) -> None:
    """Translate policy and policy_kwargs to `hidden`, `network` and `log_std_init`."""
    policy, kwargs = str(draft.take("policy", "MlpPolicy")), draft.take("policy_kwargs", None, mapping)
    images, sde = policy.startswith("Cnn"), draft.take("use_sde", False)
    network: dict[str, Any] = {"encoder": "nature-cnn"} if images else {}
    _activation(draft, str(kwargs.pop("activation_fn", "nn.ReLU" if images else "nn.Tanh")), network)
    if not kwargs.pop("ortho_init", True):
        network["init"] = "default"
    _widths(draft, kwargs.pop("net_arch", [] if images else [64, 64]), network)
    draft.config["log_std_init"] = kwargs.pop("log_std_init", 0.0)
    every = draft.take("sde_sample_freq", -1, whole)
    if sde:
        network["std"] = "gsde"
    if sde and every > 0:
        network["gsde_steps"] = every
    for key, value in kwargs.items():
        draft.cannot(f"policy_kwargs.{key}", value, "has no counterpart")
    if network:
        draft.config["network"] = network


def _activation(draft: Draft, name: str, network: dict[str, Any]) -> None:
    ours = ACTIVATIONS.get(name.rpartition(".")[2])
    if ours is None:
        draft.cannot("policy_kwargs.activation_fn", name, f"known are {', '.join(ACTIVATIONS)}; it is relu")
    if (ours or "relu") != "tanh":
        network["activation"] = ours or "relu"


def _widths(draft: Draft, given: Any, network: dict[str, Any]) -> None:
    """Set the widths of policy and value: `hidden` where they are equal and the layers are the usual ones."""
    if isinstance(given, list) and any(isinstance(each, dict) for each in given):
        raise InvalidInput(f"policy_kwargs.net_arch: {given!r} is of an older form. Write dict(pi=[...], vf=[...]).")
    policy, value = (given["pi"], given["vf"]) if isinstance(given, dict) else (given, given)
    if policy == value and policy and not network.get("encoder"):
        draft.config["hidden"] = list(policy)
    else:
        network |= {"policy": list(policy), "value": list(value)}
