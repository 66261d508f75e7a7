"""Experiments for tests: small, valid and easily spoiled."""

from pathlib import Path
from typing import Any

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment

VALID = """\
apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata:
  name: cheetah-ppo
spec:
  env:
    id: HalfCheetah-v5
  algorithm:
    name: ppo
    config:
      total_steps: 1_000_000
  roles:
    actor:
      replicas: 2
      resources: {cpu: 1, memory: 1Gi}
  seed: 1
"""


def spoiled(old: str, new: str) -> str:
    """The valid document with one place changed."""
    assert VALID.count(old) == 1, f"{old!r} must stand once in the document"
    return VALID.replace(old, new)


def load_text(folder: Path, text: str | bytes, *overrides: str) -> Experiment:
    """Load a document through a real file called `experiment.yaml`."""
    path = folder / "experiment.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_experiment(path, overrides)


def minimal(**spec: Any) -> dict[str, Any]:
    """The least an experiment must say, as plain data, with more said under `spec`."""
    return {
        "metadata": {"name": "cart"},
        "spec": {"env": {"id": "CartPole-v1"}, "algorithm": {"name": "ppo"}, **spec},
    }
