"""Roles of a run that only moves numbers: every observation says who made it, in which life and when."""

import json
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.replay.client import ReplayClient
from surreal.algorithms.replay.config import ReplaySettings
from surreal.algorithms.types import Array
from surreal.protocol.errors import ExitCode, Timeout
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.worker.process import Process

STEPS = 16


def append(process: Process, name: str, what: list[Any]) -> None:
    """Append a line with the time to a log of the run."""
    with Path(process.wiring.run_folder, name).open("a") as file:
        file.write(json.dumps([time.time(), *what]) + "\n")


def actor(process: Process) -> None:
    """Send fragments whose observations are [index, incarnation, fragment, step], and log what was acknowledged."""
    wiring, sender = process.wiring, process.sender("experience")
    index, life, seq = wiring.index, wiring.incarnation, 0
    while not process.should_stop:
        steps = np.arange(STEPS + 1)
        observations = np.stack(
            [np.full(STEPS + 1, index), np.full(STEPS + 1, life), np.full(STEPS + 1, seq), steps], 1
        )
        arrays: dict[str, Array] = {
            "observations": observations[:, None].astype(np.float32),
            "actions": steps[:STEPS, None].astype(np.int64),
            "rewards": np.full((STEPS, 1), seq, np.float32),
            "terminated": np.zeros((STEPS, 1), np.bool_),
            "truncated": np.zeros((STEPS, 1), np.bool_),
        }
        shard = (
            send_to_any(sender.shards, arrays) if isinstance(sender, ShardedSender) else send_to_any([sender], arrays)
        )
        counts = [each.acknowledged for each in sender.shards] if isinstance(sender, ShardedSender) else []
        append(process, "acknowledged.log", [index, life, seq, shard, counts])
        seq += 1
        time.sleep(process.config.get("pause", 0.002))


def send_to_any(shards: list[StreamSender], arrays: dict[str, Array]) -> int:
    """Send to a shard that has room, and return which it was."""
    while True:
        for shard in random.sample(range(len(shards)), len(shards)):
            with suppress(Timeout):
                shards[shard].send(arrays, {}, (1, 0), timeout=0.02)
                return shard


def learner(process: Process) -> ExitCode:
    """Sample for so many batches, or until `enough` is there and 20 more, and log every item with its id."""
    wiring, config = process.wiring, process.config
    client = ReplayClient(process, ReplaySettings.of(config, wiring.replicas["replay"]))
    done = Path(wiring.run_folder, "batches")
    batches = int((done.read_text() if done.exists() else "") or 0)
    enough = Path(wiring.run_folder, "enough")
    while batches < config["batches"]:
        if enough.exists() and batches > int(enough.read_text() or 0) + 20:
            break
        batch = client.sample(waiting=lambda names, seconds: print(f"waiting for {names}", flush=True))
        assert batch is not None
        observations = batch.arrays["observations"]
        assert (batch.arrays["next_observations"][:, :3] == observations[:, :3]).all()
        assert (batch.arrays["next_observations"][:, 3] == observations[:, 3] + 1).all()
        assert (batch.arrays["rewards"] == observations[:, 2]).all()
        assert (batch.arrays["actions"] == observations[:, 3]).all()
        client.update_priorities(batch.ids, np.abs(np.sin(observations.sum(axis=1))))
        if batches % config.get("log_every", 1) == 0:
            rows = np.concatenate([observations.astype(np.int64), batch.ids[:, None]], axis=1).tolist()
            append(process, "sampled.log", rows)
        batches += 1
        done.write_text(str(batches))
        process.report({**client.metrics(), "replay_steps": client.steps}, steps=client.steps)
    append(process, "done.log", [client.steps, client.metrics()])
    return ExitCode.DONE
