"""Learner: batches of sequences in, weights and priorities out."""

from contextlib import closing
from logging import getLogger

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.models.summary import summary
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.r2d2.network import make_layout
from surreal.algorithms.r2d2.state import State, network_data
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.replay_learning.learner import ReplayLearner
from surreal.algorithms.training_loop import train
from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.process import Process

log = getLogger(__name__)


def learner(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    wiring, config = process.wiring, R2D2Config(**process.config)
    with closing(make_env(wiring.env, wiring.code, config.network.view)) as env:
        layout = make_layout(config, env.spaces)
        policy = describe("r2d2", env, wiring.env, network_data(config))
    log.info("%s", summary(layout))
    return train(process, ReplayLearner(process, config, State(layout, config, wiring.seed), policy))
