"""Suites of environments in packages of their own: Atari, MinAtar, robosuite, the DeepMind control suite.

An id that begins with a suite's prefix is the suite's, whether its package is installed here or not: a plan is made on
machines that run nothing. So gymnasium, which is slow to import, is imported where one is made.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surreal.protocol.errors import Fatal, InvalidInput

if TYPE_CHECKING:
    import gymnasium

    Env = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class Suite:
    """A family of environments by prefix of their ids."""

    prefix: str
    extra: str
    """Name in `pip install 'surreal[EXTRA]'`."""
    make: "Callable[[str, dict[str, Any]], Env]"
    """Function of (id, options)."""
    known: str = ""
    """Names that a person may write without the prefix, the package here or not; the package may have more."""
    version: str = ""
    """End of the id of each."""

    @property
    def ids(self) -> Iterable[str]:
        """The ids of those names."""
        return (f"{self.prefix}{name}{self.version}" for name in self.known.split())


def _atari(env_id: str, options: dict[str, Any]) -> "Env":
    import ale_py
    import gymnasium

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # it greets on stderr at every start
    gymnasium.register_envs(ale_py)
    return gymnasium.make(env_id, disable_env_checker=True, **options)


def _minatar(env_id: str, options: dict[str, Any]) -> "Env":
    import gymnasium
    import minatar.gym

    from surreal.algorithms.environments.suite_wrappers import ForgetsAction

    if env_id not in gymnasium.registry:
        minatar.gym.register_envs()
    return ForgetsAction(gymnasium.make(env_id, disable_env_checker=True, **options))


def _robosuite(env_id: str, options: dict[str, Any]) -> "Env":
    import robosuite
    from robosuite.wrappers import GymWrapper

    from surreal.algorithms.environments.suite_wrappers import SeedsGenerator, TruncatesAtHorizon, Upright

    cameras = bool(options.get("use_camera_obs"))
    settings = {
        "robots": "Panda",
        "has_renderer": False,
        "has_offscreen_renderer": cameras,
        "use_camera_obs": cameras,
        "reward_shaping": True,
        **options,
    }
    made = SeedsGenerator(GymWrapper(robosuite.make(env_id.partition("/")[2], **settings), flatten_obs=not cameras))
    return TruncatesAtHorizon(Upright(made) if cameras else made)


def _dm_control(env_id: str, options: dict[str, Any]) -> "Env":
    import gymnasium
    import shimmy

    gymnasium.register_envs(shimmy)
    return gymnasium.make(env_id, disable_env_checker=True, **options)


GAMES = """
    Adventure AirRaid Alien Amidar Assault Asterix Asteroids Atlantis BankHeist BattleZone BeamRider Berzerk Bowling
    Boxing Breakout Carnival Centipede ChopperCommand CrazyClimber Defender DemonAttack DoubleDunk ElevatorAction Enduro
    FishingDerby Freeway Frostbite Gopher Gravitar Hero IceHockey Jamesbond JourneyEscape Kangaroo Krull KungFuMaster
    MontezumaRevenge MsPacman NameThisGame Phoenix Pitfall Pong Pooyan PrivateEye Qbert Riverraid RoadRunner Robotank
    Seaquest Skiing Solaris SpaceInvaders StarGunner Tennis TimePilot Tutankham UpNDown Venture VideoPinball WizardOfWor
    YarsRevenge Zaxxon"""
MANIPULATION = """
    Door Lift NutAssembly NutAssemblyRound NutAssemblySingle NutAssemblySquare PickPlace PickPlaceBread PickPlaceCan
    PickPlaceCereal PickPlaceMilk PickPlaceSingle Stack ToolHang TwoArmHandover TwoArmLift TwoArmPegInHole
    TwoArmTransport Wipe"""
CONTROL = """
    acrobot-swingup acrobot-swingup_sparse ball_in_cup-catch cartpole-balance cartpole-balance_sparse cartpole-swingup
    cartpole-swingup_sparse cheetah-run finger-spin finger-turn_easy finger-turn_hard fish-swim fish-upright hopper-hop
    hopper-stand humanoid-run humanoid-stand humanoid-walk manipulator-bring_ball pendulum-swingup point_mass-easy
    reacher-easy reacher-hard swimmer-swimmer15 swimmer-swimmer6 walker-run walker-stand walker-walk"""
ATARI_VARIANT = re.compile(r"(NoFrameskip|Deterministic)(?=-v\d)")
"""Part of an id of a game before it had a prefix."""
COMPLETE = ("gymnasium.envs.classic_control.", "gymnasium.envs.toy_text.", "gymnasium.envs.mujoco.")
"""Begin of the entry points of gymnasium whose packages surreal itself requires."""
ATARI = Suite("ALE/", "atari", _atari, GAMES, "-v5")
SUITES = (
    ATARI,
    Suite("MinAtar/", "minatar", _minatar, "Asterix Breakout Freeway Seaquest SpaceInvaders", "-v1"),
    Suite("robosuite/", "robosuite", _robosuite, MANIPULATION),
    Suite("dm_control/", "dm_control", _dm_control, CONTROL, "-v0"),
)


def suite_of(env_id: str) -> Suite | None:
    """Return the suite that an id belongs to; None for an id of gymnasium or one's own."""
    return next((suite for suite in SUITES if env_id.startswith(suite.prefix)), None)


def make_of(suite: Suite, env_id: str, options: dict[str, Any]) -> "Env":
    """Return an environment of a suite. Raises Fatal where its extra is not installed."""
    try:
        return suite.make(env_id, options)
    except ImportError as error:
        raise Fatal(f"env.id: {env_id!r} needs an extra: {error}. Run pip install 'surreal[{suite.extra}]'.") from error


def is_current(env_id: str) -> bool:
    """Return True for the newest version of an environment that gymnasium and MuJoCo alone can make.

    Others may lack a package here, or be of a version that no longer runs.
    """
    name, version = _split(env_id)
    listed = _registrations()
    return listed.get(env_id, "").startswith(COMPLETE) and version == _versions(listed)[name][-1]


@cache
def _registrations() -> dict[str, str]:
    """Return id -> entry point of gymnasium's own list; that of an id that only raises is no `module:Class`.

    To read the source takes a hundredth of the time of its import. Ids that packages or modules add are not in it.
    """
    found = find_spec("gymnasium")
    path = Path(found.origin).parent / "envs" / "__init__.py" if found and found.origin else None
    text = path.read_text() if path and path.is_file() else ""
    return dict(re.findall(r'\bid="([^"]+)",\s*entry_point="?([\w.:]+)', text))


def _split(env_id: str) -> tuple[str, int]:
    """Return name and version of an id; version -1 where it says none."""
    name, dash, version = env_id.rpartition("-v")
    return (name, int(version)) if dash and version.isdecimal() else (env_id, -1)


def _versions(ids: Iterable[str]) -> dict[str, list[int]]:
    """Return name -> all its versions, oldest first."""
    found: dict[str, list[int]] = {}
    for name, version in sorted(map(_split, ids)):
        found.setdefault(name, []).append(version)
    return found


def _nearest(env_id: str, ids: Iterable[str]) -> str:
    """Return the id of the nearest name, in the version asked for or else its newest; empty where none is near."""
    versions, (asked, version) = _versions(ids), _split(env_id)
    by_lower = {name.lower(): name for name in versions}
    for close in get_close_matches(asked.lower(), by_lower, n=1, cutoff=0.7):
        there = versions[by_lower[close]]
        chosen = version if version in there else there[-1]
        return by_lower[close] + (f"-v{chosen}" if chosen >= 0 else "")
    return ""


def _meant(env_id: str, made: Iterable[str]) -> str:
    """Return the id that was meant by an unknown one: of `made`, or of a suite whose prefix is missing or mistyped."""
    without = {bare: each for suite in reversed(SUITES) for each in suite.ids for bare in [each.partition("/")[2]]}
    ids = [*made, *without]
    bare = ATARI_VARIANT.sub("", env_id.rpartition("/")[2])
    near = _nearest(env_id, ids) or _nearest(bare, ids)
    return without.get(near, near)


def _raises(spec: Any) -> bool:
    """Return True for an id of gymnasium's registry that only raises, and says where its environment went."""
    return callable(spec.entry_point) and spec.entry_point.__module__ == "gymnasium.envs"


def _bare(spec: Any) -> bool:
    """Return True for a game's id without prefix, which ale_py registers only once it is imported.

    The game would be made without what its suite adds.
    """
    return isinstance(spec.entry_point, str) and spec.entry_point.startswith("ale_py.") and not suite_of(spec.id)


def check_id(env_id: str) -> None:
    """Raise InvalidInput where `env_id` cannot name an environment here, or names a retired one.

    `module:Name` is not looked into: the module may be importable only where the worker runs. Nor is a suite's.
    """
    if ":" in env_id or suite_of(env_id) or ":" in _registrations().get(env_id, ""):
        return
    import gymnasium

    registered = [each for each, spec in gymnasium.registry.items() if not _bare(spec)]
    made = [each for each in registered if not _raises(gymnasium.registry[each])]
    if env_id in made:
        return
    if env_id not in registered:
        near = _meant(env_id, made)
        known = f"any gymnasium id, 'module:Id-v0', 'module:Class', {', '.join(f'{s.prefix}NAME' for s in SUITES)}"
        hint = f" (did you mean {near!r}?)" if near else ""
        raise InvalidInput(f"no environment {env_id!r}{hint}. There are: {known}.")
    near = _nearest(env_id, made)
    # An id that only raises, without another version, needs a package, which the run may have.
    if _split(near)[0] == _split(env_id)[0]:
        raise InvalidInput(f"{env_id!r} is retired: gymnasium {gymnasium.__version__} cannot make it. Use {near!r}.")
