"""Graph and hyperparameters of `pevi`: light to import.

learner (reads the dataset, solves once) -> weights -> evaluator
"""

from typing import Annotated

from pydantic import Field

from surreal.algorithms.algorithm import Algorithm, Config, Count, Positive
from surreal.protocol.graph import Broadcast, Role, Stream


class PEVIConfig(Config):
    """Hyperparameters of pessimistic value iteration (Jin, Yang & Wang 2021), for Discrete states and actions.

    The state has to hold the step of the episode. Each pair of state and action is a feature of its own.
    """

    dataset: str | list[str] = ""
    """Folder of a Minari dataset, an .hdf5 of D4RL's shape, or a URL of one; several are joined."""
    skip_damaged: bool = False
    """Leave out episodes that make no sense, and say so in the log; by default the run ends at the first."""
    beta: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the penalty on what the data hardly covers; 0 is greedy value iteration."""
    ridge: Positive = 1.0
    """Lambda of the regression."""
    rewards: Annotated[list[float], Field(min_length=2, max_length=2)] = [0.0, 1.0]
    """Least and largest reward of a step; with 0 between them where episodes end early, after which there is none."""
    evaluate_episodes: Count = 100
    """Deterministic episodes of the evaluation."""


PEVI = Algorithm(
    "pevi",
    PEVIConfig,
    roles=(
        Role("learner", run="surreal.algorithms.pevi.roles:learner", ends_run=True),
        Role("evaluator", run="surreal.algorithms.pevi.roles:evaluator", expendable=True, evaluates=True, cpu=0.5),
    ),
    channels=(
        Broadcast("weights", frm="learner", to="evaluator"),
        Stream("metrics", frm="evaluator", to="learner", lossy=True),
    ),
    check="surreal.algorithms.pevi.roles:check",
    selective=True,
)
