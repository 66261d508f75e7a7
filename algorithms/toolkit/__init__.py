"""Toolkit for authors of algorithms: every name that an algorithm of one's own needs, in one place.

These names are stable: a later surreal keeps them, or its changelog says what takes their place. The guide with a whole
algorithm is docs/adding-an-algorithm.md. Conventions that the names rely on:

- Channels. The role that ends the run publishes on the broadcast `weights`; processes report on the lossy stream
  `metrics` to it. Both names are fixed. `meta` of weights has `steps` (environment steps that led to them) and `final`
  (True for the last ones: an evaluator evaluates them at once).
- Versions. A version is (incarnation of the process that publishes, number of its updates). After a restart the
  incarnation is higher, so that a newer version always compares greater.
- Reports. A report is the `meta` of a message on `metrics`: numbers by name. `eval_return` makes it an evaluation;
  it then names the evaluated `version` as a list, its `steps`, and has the weights' arrays if they are the best so far.
  `Role(evaluates=True)` makes the end of the run wait for the last evaluation of that role.
- Rows. `TrainingLoop` writes what the status shows: `steps`, `total_steps`, `updates`, `elapsed`, `steps_per_second`.
  Add `episode_return` for the training return. `time`, `role`, `steps` and `attempt` cannot be set.
- End. The function of the role that ends the run returns `ExitCode.DONE`, or PREEMPTED if it was asked to stop and
  saved; `train` does. The runner then tells all other processes to stop: their loops end at `process.should_stop`.
- Checkpoints. Only the role that ends the run has any; other roles begin anew after a restart.
- Seeds. `process.rng` differs between processes and between starts of one: a restarted actor repeats no episode.
"""

from surreal.algorithms.algorithm import Algorithm, Config, Configured, Count, Positive, Share, Sizing
from surreal.algorithms.datasets.writing.actors import recording_of
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env as _make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.evaluate import evaluate
from surreal.algorithms.evaluation import Act, evaluate_on_clock
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.policies import Policy, load_policy
from surreal.algorithms.recording.checkpoint import Checkpoint
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.recording.reports import Shares
from surreal.algorithms.recording.rows import read_rows
from surreal.algorithms.returns import gae
from surreal.algorithms.toolkit.synchronous import (
    Episode,
    SynchronousTrainer,
    actor_learner,
    discounted,
    play,
    sample,
    softmax,
    versions,
)
from surreal.algorithms.training_loop import ArrayState, Trainer, TrainingLoop, TrainingState, Waiting, train
from surreal.algorithms.types import F32, F64, Array, Bool, Int
from surreal.protocol.documents.effects import Only
from surreal.protocol.errors import ExitCode, Fatal, Stopping
from surreal.protocol.graph import Broadcast, Role, Service, Stream
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

__all__ = [
    "F32",
    "F64",
    "Act",
    "Algorithm",
    "Array",
    "ArrayState",
    "Bool",
    "Broadcast",
    "Checkpoint",
    "Config",
    "Configured",
    "Count",
    "Environment",
    "Episode",
    "ExitCode",
    "Fatal",
    "Int",
    "Message",
    "Only",
    "Policy",
    "Positive",
    "Process",
    "Role",
    "RunRecorder",
    "RunningMoments",
    "Service",
    "Share",
    "Shares",
    "Sizing",
    "Spaces",
    "Standardizer",
    "Stopping",
    "Stream",
    "SynchronousTrainer",
    "Trainer",
    "TrainingLoop",
    "TrainingState",
    "Version",
    "Waiting",
    "actor_learner",
    "describe",
    "discounted",
    "evaluate",
    "evaluate_on_clock",
    "gae",
    "load_policy",
    "make_env",
    "play",
    "read_rows",
    "sample",
    "softmax",
    "train",
    "versions",
]


def make_env(process: Process) -> Environment:
    """Return one environment of the experiment; the caller closes it.

    Raises Fatal, which names what is wrong, where it cannot be made or has spaces that no policy takes.
    """
    return _make_env(process.env, process.wiring.code, around=recording_of(process.wiring))
