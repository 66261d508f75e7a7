"""Learner: batches of replay in, weights and priorities out."""

from contextlib import closing

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.offpolicy.method import method_of
from surreal.algorithms.offpolicy.state import State
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.replay_learning.learner import ReplayLearner
from surreal.algorithms.training_loop import train
from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.process import Process


def learner(process: Process) -> ExitCode:
    """Learn until done or told to stop."""
    wiring, method = process.wiring, method_of(process)
    with closing(make_env(wiring.env, wiring.code)) as env:
        policy = describe(method.name, env, wiring.env, method.shape(env.spaces).data())
        state = State(method, env.spaces, wiring.seed)
    return train(process, ReplayLearner(process, method.config, state, policy))
