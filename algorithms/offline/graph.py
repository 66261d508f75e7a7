"""Graphs of the algorithms that learn from datasets, and what their settings mean together: light to import.

dataset x n shards -> sample -> learner -> weights -> evaluator
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from surreal.algorithms.algorithm import Algorithm, Sizing
from surreal.algorithms.offline.config import (
    AWACConfig,
    BCConfig,
    CQLConfig,
    CRRConfig,
    IQLConfig,
    OfflineConfig,
    TD3BCConfig,
)
from surreal.protocol.graph import Broadcast, Role, Service, Stream

PACKAGE = "surreal.algorithms.offline"
ROLES = (
    Role("learner", run=f"{PACKAGE}.learner:learner", ends_run=True, memory="2Gi", accelerated=True),
    Role("dataset", run=f"{PACKAGE}.shard:dataset", scalable=True, expendable=True, memory="2Gi"),
    Role("evaluator", run=f"{PACKAGE}.learner:evaluator", expendable=True, evaluates=True, cpu=0.5),
)
CHANNELS = (
    Service("sample", frm="learner", to="dataset", window=16),
    Broadcast("weights", frm="learner", to="evaluator"),
    Stream("metrics", frm=("dataset", "evaluator"), to="learner", lossy=True),
)
MOST_METADATA = 2**26
"""Bytes of a description that are looked at before a run."""


def sizing(config: OfflineConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what the settings mean, and what is meaningless. Only small local files are looked at."""
    shards = replicas["dataset"]
    notes = (
        f"{config.total_steps:,} updates of {config.batch} transitions from {shards} shard{'s' * (shards != 1)}; "
        "the environment is stepped for evaluations alone",
    )
    problems = () if config.dataset else (("dataset", "none is named. Give a folder, a file or a URL."),)
    return Sizing(notes, tuple(_warnings(config, env)), problems)


def _warnings(config: OfflineConfig, env: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each dataset that was recorded in another environment, as far as a look here tells."""
    env_id, folder = env.get("id"), env.get("folder", "")
    for place in [config.dataset] if isinstance(config.dataset, str) else config.dataset:
        recorded = _recorded_in(Path(folder, place)) if place and "://" not in place else None
        if recorded not in (None, env_id):
            yield f"dataset: {place} was recorded in {recorded}, and policies are evaluated in {env_id}."


def _recorded_in(folder: Path) -> str | None:
    """Return the environment that a dataset of Minari or of actors in `folder` names; None where none is to be seen."""
    of_actors = [journal.with_suffix(".json") for journal in sorted(folder.glob("*.journal"))[:1]]
    for path in (folder / "data" / "metadata.json", folder / "metadata.json", *of_actors):
        try:
            if path.stat().st_size <= MOST_METADATA:
                return str(json.loads(json.loads(path.read_text())["env_spec"])["id"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _of(name: str, config: type[OfflineConfig]) -> Algorithm:
    return Algorithm(name, config, ROLES, CHANNELS, sizing, check=f"{PACKAGE}.method:check", selective=True)


BC = _of("bc", BCConfig)
TD3BC = _of("td3bc", TD3BCConfig)
CQL = _of("cql", CQLConfig)
IQL = _of("iql", IQLConfig)
AWAC = _of("awac", AWACConfig)
CRR = _of("crr", CRRConfig)
OFFLINE = (BC, TD3BC, CQL, IQL, AWAC, CRR)
