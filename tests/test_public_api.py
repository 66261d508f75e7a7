"""Public names, their signatures and defaults: a change here is a change for every user, and goes into CHANGELOG.md."""

import inspect
import subprocess
import sys
from typing import Any

import pytest

import surreal

NAMES = [
    "ARS",
    "DDPG",
    "DQN",
    "ES",
    "IMPALA",
    "PPO",
    "R2D2",
    "SAC",
    "TD3",
    "Algorithm",
    "Broadcast",
    "Client",
    "Config",
    "Experiment",
    "Process",
    "Role",
    "Run",
    "Service",
    "Stream",
    "__version__",
    "evaluate",
    "export",
    "load",
    "play",
    "train",
]
SIGNATURES = {
    "train": "env, algorithm, *, actors=None, seed=1, name=None, folder=None, roles=None, wait=True, detach=False, "
    "**spec",
    "load": "source",
    "evaluate": "policy, env, *, episodes=10, seed=1, options=None, code=''",
    "export": "policy, path, format=None",
    "play": "policy, env=None, *, video=None, episodes=1, seed=1, quality='fast', code=''",
    "Experiment": "name, env, algorithm, *, roles=None, seed=1, labels=None, folder=None, **spec",
    "Experiment.from_data": "data, source=None, folder=None",
    "Experiment.to_yaml": "self",
    "Client": "on='local', *, context=None, namespace=None, kubeconfig=None, engine=None",
    "Client.plan": "self, experiment, *, pools=None, prices=None",
    "Client.create": "self, experiment, plan=None, *, start=None",
    "Client.dry_run": "self, experiment, plan=None, *, server=False",
    "Client.render": "self, experiment, plan=None, *, with_keys=False",
    "Client.diff": "self, experiment, plan=None",
    "Client.list": "self",
    "Client.get": "self, name",
    "Client.check": "self",
    "Run.find": "name, location=None",
    "Run.status": "self",
    "Run.logs": "self, source=None, *, tail=None, follow=False",
    "Run.metrics": "self",
    "Run.policy": "self, which='best', code=None",
    "Run.wait": "self, timeout=None, watch=None, notify=<built-in function print>",
    "Run.stop": "self",
    "Run.resume": "self, *, accept_changes=False, changes=()",
    "Run.scale": "self, replicas",
    "Run.delete": "self",
    "Role": "name=None, run=None, **options",
    "Stream": "name, frm, to, window=64, lossy=False, finite=False",
    "Broadcast": "name, frm, to",
    "Service": "name, frm, to, window=64",
}
WORKERS_ONLY = {"torch", "gymnasium", "mujoco", "zmq", "kubernetes", "click", "rich"}


def test_the_front_door_offers_these_names_and_no_others() -> None:
    assert surreal.__all__ == NAMES
    assert {name: getattr(surreal, name) for name in NAMES}
    assert set(NAMES) <= set(dir(surreal))
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        surreal.tarin  # noqa: B018


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_and_defaults_stay(name: str) -> None:
    found: Any = surreal
    for part in name.split("."):
        found = getattr(found, part)
    parameters = inspect.signature(found).parameters.values()
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    assert str(inspect.Signature(plain)) == f"({SIGNATURES[name]})"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_every_public_name_says_what_it_is_for(name: str) -> None:
    assert inspect.getdoc(getattr(surreal, name))


def test_importing_surreal_alone_loads_no_other_module() -> None:
    code = "import sys; before = set(sys.modules); import surreal; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.strip() == "['surreal']"


@pytest.mark.parametrize("name", ["Client", "Experiment", "PPO", "Role", "load", "train"])
def test_no_public_name_of_an_orchestrating_program_loads_what_only_workers_need(name: str) -> None:
    code = f"import sys, surreal; surreal.{name}; print(*{{each.split('.')[0] for each in sys.modules}})"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert set(done.stdout.split()) & WORKERS_ONLY == set()


@pytest.mark.parametrize("name", ["Client", "load"])
def test_looking_at_runs_and_policies_loads_no_settings_of_algorithms(name: str) -> None:
    code = f"import sys, surreal; surreal.{name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=200, check=True)
    loaded = set(done.stdout.split())
    assert loaded & {"surreal.algorithms.registry", "surreal.orchestrator.experiment.experiment"} == set()


def test_the_version_is_that_of_the_command_line() -> None:
    command = [sys.executable, "-P", "-c", "from surreal.cli.main import main; main()", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.strip() == f"surreal {surreal.__version__}"
