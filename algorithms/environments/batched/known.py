"""Names of gymnasium's tasks that can be stepped together, for those who do not import it."""

from collections.abc import Sequence

NAMES = (
    "Ant",
    "HalfCheetah",
    "Hopper",
    "Humanoid",
    "HumanoidStandup",
    "InvertedDoublePendulum",
    "InvertedPendulum",
    "Pusher",
    "Reacher",
    "Swimmer",
    "Walker2d",
)
KNOWN = frozenset(f"{name}-v5" for name in NAMES)


def reason_against(env_id: str, wrappers: Sequence[object], options: Sequence[str]) -> str:
    """Return why copies of an environment are stepped by gymnasium one after another; empty where they need not be."""
    if env_id not in KNOWN:
        return f"{env_id!r} is none of gymnasium's MuJoCo v5 tasks"
    if wrappers:
        return "wrappers lie in between"
    return "it renders" if "render_mode" in options else ""


def note(stepping: str, reason: str) -> str:
    """Return the plan's sentence; empty where there is nothing to say."""
    if stepping == "gymnasium":
        return "the copies of a process are stepped by gymnasium, one after another, as env.stepping says"
    return "" if reason else "the copies of a process are stepped together, bit for bit as gymnasium steps them"
