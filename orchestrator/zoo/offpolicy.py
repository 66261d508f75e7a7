"""Entries for DDPG, TD3, SAC and DQN."""

from typing import Any

from surreal.orchestrator.zoo.draft import Draft
from surreal.orchestrator.zoo.ppo import ACTIVATIONS
from surreal.orchestrator.zoo.values import mapping, schedule, whole
from surreal.protocol.errors import InvalidInput

GSDE = "noise here is new at every step (no gSDE)"


def ddpg(draft: Draft) -> None:
    """Translate an entry of ddpg.yml."""
    _common(draft, 1e-3, [400, 300], 256)
    _noise(draft)


def td3(draft: Draft) -> None:
    """Translate an entry of td3.yml."""
    _common(draft, 1e-3, [400, 300], 256)
    _noise(draft)
    delay = draft.take("policy_delay", 2, whole)
    draft.config |= {
        "actor_every": delay,
        "target_noise": draft.take("target_policy_noise", 0.2),
        "target_clip": draft.take("target_noise_clip", 0.5),
    }


def sac(draft: Draft) -> None:
    """Translate an entry of sac.yml."""
    _common(draft, 3e-4, [256, 256], 256)
    weight = str(draft.take("ent_coef", "auto"))
    learned = weight.startswith("auto")
    start = weight.removeprefix("auto").removeprefix("_")
    draft.config |= {"learn_temperature": learned, "temperature": schedule(start or 1.0).value}
    target = draft.take("target_entropy", "auto")
    if target != "auto":
        draft.config["target_entropy"] = float(target)
    for key in ("use_sde", "use_sde_at_warmup", "sde_sample_freq"):
        if draft.left.get(key):
            draft.cannot(key, draft.take(key), GSDE)


def dqn(draft: Draft) -> None:
    """Translate an entry of dqn.yml."""
    every = draft.take("target_update_interval", 10_000, whole)
    final = float(draft.take("exploration_final_eps", 0.05))
    fraction = draft.take("exploration_fraction", 0.1)
    _common(draft, 1e-4, [64, 64], 32, train_freq=4, tau=1.0)
    updates = max(1, round(every * draft.config["updates_per_step"]))
    draft.config |= {"target_every": updates, "epsilon": final, "epsilon_ladder": 0.0, "double": False}
    draft.config["max_grad_norm"] = draft.take("max_grad_norm", 10.0)
    draft.cannot("exploration_fraction", fraction, f"actors explore with {final:g} from the start")


def _common(
    draft: Draft, learning_rate: float, widths: list[int], batch: int, train_freq: int = 1, tau: float = 0.005
) -> None:
    """Translate what all four have."""
    rate = draft.take("learning_rate", learning_rate, schedule)
    if rate.falls:
        draft.cannot("learning_rate", f"lin_{rate.value:g}", "the step size stays as it begins")
    size = draft.take("batch_size", batch, whole)
    draft.config |= {
        "total_steps": draft.take("n_timesteps", 1e6, whole),
        "learning_rate": rate.value,
        "batch": size,
        "gamma": draft.take("gamma", 0.99),
        "target_share": draft.take("tau", tau),
        "updates_per_step": _updates_per_step(draft, train_freq),
        "replay": {
            "capacity": draft.take("buffer_size", 1e6, whole),
            "min_size": max(size, draft.take("learning_starts", 100, whole)),
        },
        "normalize_observations": bool(draft.take("normalize", False)),
    }
    _network(draft, widths)
    for key in ("optimize_memory_usage", "replay_buffer_class", "replay_buffer_kwargs"):
        if draft.left.get(key):
            draft.cannot(key, draft.take(key), "replay is a role of its own here")
        draft.left.pop(key, None)


def _updates_per_step(draft: Draft, train_freq: int) -> float:
    """Return gradient steps over the environment steps between them; -1 is as many as steps."""
    every, updates = draft.take("train_freq", train_freq), draft.take("gradient_steps", 1, whole)
    if isinstance(every, list | str):
        draft.cannot("train_freq", every, "updates are spread evenly over steps, one for each")
        return 1.0
    steps = whole(every) * draft.env["copies"]
    return 1.0 if updates < 0 else updates / steps


def _network(draft: Draft, widths: list[int]) -> None:
    policy, kwargs = str(draft.take("policy", "MlpPolicy")), draft.take("policy_kwargs", None, mapping)
    draft.refuse_images(policy)
    if not policy.startswith("Mlp"):
        draft.cannot("policy", policy, "all parts of an observation are one vector, and none is an image")
    arch = kwargs.pop("net_arch", widths)
    if isinstance(arch, dict):
        if arch.get("pi") != arch.get("qf"):
            draft.cannot("policy_kwargs.net_arch.qf", arch.get("qf"), "actor and critics have the actor's widths")
        arch = arch.get("pi", widths)
    if not isinstance(arch, list):
        raise InvalidInput(f"policy_kwargs.net_arch: {arch!r} is no list. Write [256, 256].")
    draft.config["hidden"] = arch
    activation = str(kwargs.pop("activation_fn", "nn.ReLU"))
    if ACTIVATIONS.get(activation.rpartition(".")[2]) != "relu":
        draft.cannot("policy_kwargs.activation_fn", activation, "layers are relu")
    if "n_critics" in kwargs and draft.has("critics"):
        draft.config["critics"] = whole(kwargs.pop("n_critics"))
    for key, value in kwargs.items():
        draft.cannot(f"policy_kwargs.{key}", value, "has no counterpart")


def _noise(draft: Draft) -> None:
    """Translate the noise of actions; one actor has it as it is."""
    kind, std = draft.take("noise_type"), draft.take("noise_std", 0.0)
    if kind not in (None, "normal", "ornstein-uhlenbeck"):
        raise InvalidInput(f"noise_type: {kind!r} is unknown. Known are normal and ornstein-uhlenbeck.")
    names: dict[Any, str] = {"ornstein-uhlenbeck": "ou"}
    draft.config |= {
        "exploration": names.get(kind, "gaussian"),
        "noise": float(std) if kind else 0.0,
        "noise_ladder": 0.0,
    }
