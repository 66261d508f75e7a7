"""Flows of the built-in algorithms: how their actors and learners wait for each other. Light to import."""

from collections.abc import Mapping
from typing import Any

from surreal.algorithms.algorithm import Flow


def of_batches(config: Any, env: Mapping[str, Any]) -> Flow:
    """Return the flow where each update takes one fragment of every actor: PPO.

    A fragment may be collected with weights `max_staleness` updates older than those that it changes.
    """
    copies = int(env["copies"])
    return Flow("actor", "learner", config.max_staleness, config.fragment_steps * copies, copies)


def of_queue(config: Any, env: Mapping[str, Any]) -> Flow:
    """Return the flow where actors never wait but for room in a queue: IMPALA, and all with replay.

    Replay holds actors and learner to `updates_per_step`, so that one waits for the other there too.
    """
    return Flow("actor", "learner", ahead=None, batched=int(env["copies"]))


def of_generations(config: Any, env: Mapping[str, Any]) -> Flow:
    """Return the flow of ES and ARS: workers share the episodes of a generation, one episode in each copy.

    Only where `deterministic` is set they wait for the master.
    """
    return Flow("worker", "master", ahead=0 if config.deterministic else None)
