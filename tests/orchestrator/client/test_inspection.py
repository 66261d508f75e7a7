"""An experiment is inspected before anything starts: in a process of its own, at the line of the file that is wrong."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment import inspection
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.inspection import Inspection
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.planning import plan_for
from surreal.protocol.errors import InvalidInput
from tests.cli.terminal import surreal
from tests.orchestrator.runs import until

HEAD = "apiVersion: surreal.dev/v1alpha1\nkind: Experiment\nmetadata: {name: own}\nspec:\n"
NETWORK = """\
import numpy as np

class Linear:
    def __init__(self, spaces, extra):
        self.inputs, self.outputs = spaces.observation, spaces.action + extra

    def initial(self, rng):
        return np.zeros(self.inputs * (self.outputs + 1), dtype=np.float32)

    def policy(self, parameters, features):
        return features @ parameters.view(self.inputs, -1)[:, : self.outputs]

    def value(self, parameters, features):
        return features @ parameters.view(self.inputs, -1)[:, self.outputs]

def make(spaces, extra=0):
    return Linear(spaces, extra)

def wide(spaces):
    return Linear(spaces, 1)

def nothing(spaces):
    pass

def end(spaces):
    raise SystemExit(0)
"""

WRAPPED = """
import gymnasium

class Lacking(gymnasium.Wrapper):
    def __init__(self, env):
        super().__init__(env)
        raise KeyError("x")

class Cut(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return observation[:2]

class Choice(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(4)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return 5, {}
"""


def inspected(experiment: Experiment, remote: bool = False) -> list[str]:
    """The warnings of the inspection of an experiment."""
    with Inspection(experiment, remote) as looked:
        return looked.warnings


def write(folder: Path, env: str, algorithm: str, **modules: str) -> Path:
    """Return the file of an experiment, with modules beside it."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    path = folder / "own.yaml"
    path.write_text(f"{HEAD}  env: {{id: {env}}}\n  algorithm: {algorithm}\n")
    return path


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first reset is waited for however busy the machine is."""
    monkeypatch.setattr(inspection, "RESET_S", 120.0)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("nets:wide", r"nets\.py:19: .*policy returns \[3, 3\] for 3 observations, expected \[3, 2\]"),
        ("{make: nets:make, wide: 2}", r"TypeError: make\(\) got an unexpected keyword argument 'wide'"),
        ("nets:nothing", r"nets\.py:\d+: it returns NoneType, expected an object with initial, policy and value"),
        ("nets:end", r"nets\.py:\d+: SystemExit: 0"),
        ("nets:mak", r"has no 'mak' \(did you mean 'make'\?\)"),
        ("net:make", r"there is no module 'net'"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_at_its_line_and_nothing_starts(
    place: LocalBackend, tmp_path: Path, network: str, said: str
) -> None:
    file = write(tmp_path, "CartPole-v1", f"{{name: ppo, config: {{network: {network}}}}}", nets=NETWORK)
    with pytest.raises(InvalidInput, match=rf"own\.yaml:6: spec\.algorithm\.config\.network: .*{said}"):
        plan_for(load_experiment(file))
    assert place.names() == []


def test_a_wrapper_that_does_not_fit_is_refused_at_its_own_line_without_a_line_of_gymnasiums(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"{HEAD}  env:\n    id: CartPole-v1\n    wrappers: [grey]\n  algorithm: {{name: ppo}}\n")
    with pytest.raises(InvalidInput, match=r"own\.yaml:7: spec\.env\.wrappers: 'grey' does not fit what it wraps"):
        plan_for(load_experiment(file))


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (
            "id: CartPole-v1\n    wrappers: ['own:Lacking']",
            r":7: spec\.env\.wrappers: .*own\.py:7: .*: KeyError: 'x'\.",
        ),
        (
            "id: CartPole-v1\n    wrappers: ['own:Cut']",
            r":6: spec\.env\.id: .*'CartPole-v1' wrapped in own:Cut: reset\(",
        ),
        ("id: own:Choice\n    wrappers: [{stack: 4}]", r":7: spec\.env\.wrappers: stack gets an observation of 5\."),
    ],
)
def test_what_a_wrapper_of_ones_own_or_a_stack_meets_is_refused_with_its_name(
    tmp_path: Path, env: str, said: str
) -> None:
    (tmp_path / "own.py").write_text(WRAPPED)
    file = tmp_path / "own.yaml"
    file.write_text(f"{HEAD}  env:\n    {env}\n  algorithm: {{name: ppo}}\n")
    with pytest.raises(InvalidInput, match=rf"own\.yaml{said}"):
        plan_for(load_experiment(file))


def test_gradients_by_hand_of_a_network_without_any_are_refused_at_their_line(tmp_path: Path) -> None:
    file = write(tmp_path, "CartPole-v1", "{name: ppo, config: {gradients: analytic, network: {activation: relu}}}")
    with pytest.raises(InvalidInput, match=r"own\.yaml:6: spec\.algorithm\.config\.gradients: 'analytic' has no"):
        plan_for(load_experiment(file))


def test_a_network_that_fits_passes_and_no_module_of_it_stays_here(place: LocalBackend, tmp_path: Path) -> None:
    file = write(tmp_path, "CartPole-v1", "{name: ppo, config: {network: {make: nets:make}}}", nets=NETWORK)
    assert inspected(load_experiment(file), remote=False) == []
    assert "nets" not in sys.modules


def test_create_refuses_an_environment_whose_module_raises_and_starts_nothing(
    place: LocalBackend, tmp_path: Path
) -> None:
    done = surreal("create", write(tmp_path, "maze:Maze-v0", "{name: ppo}", maze="import os\n\n1 / 0\n"))
    assert done.returncode == 2
    assert "own.yaml:5: spec.env.id: 'maze:Maze-v0' cannot be imported" in done.stderr, done.stderr
    assert "maze.py:3: ZeroDivisionError: division by zero" in done.stderr
    assert place.names() == []


def test_a_role_that_cannot_be_imported_is_refused(place: LocalBackend, tmp_path: Path) -> None:
    text = (
        "from surreal import Algorithm, Config, Role\n\n\nclass Settings(Config):\n    rate: float = 1.0\n\n\n"
        'OWN = Algorithm("own", Settings, [Role("learner", "own_roles:learn", ends_run=True)], [])\n'
    )
    file = write(tmp_path, "CartPole-v1", "{name: own_algorithm:OWN}", own_algorithm=text, own_roles="x: int = 'a' + 1")
    with pytest.raises(InvalidInput, match=r"own\.yaml:6: spec\.algorithm\.name: .*own_roles\.py:1: TypeError"):
        plan_for(load_experiment(file))


def test_code_that_ends_its_process_is_refused_with_its_last_words(place: LocalBackend, tmp_path: Path) -> None:
    file = write(
        tmp_path, "maze:Maze-v0", "{name: ppo}", maze="import os\nprint('no licence', flush=True)\nos._exit(7)"
    )
    with pytest.raises(InvalidInput, match=r"ended the process that inspected it \(exit 7\).*\nno licence"):
        plan_for(load_experiment(file))


def test_a_module_that_is_missing_here_is_refused_here_and_a_warning_for_a_cluster(tmp_path: Path) -> None:
    experiment = load_experiment(write(tmp_path, "maze:Maze-v0", "{name: ppo}", maze="import no_such_package\n"))
    with pytest.raises(InvalidInput, match=r"maze\.py:1: ModuleNotFoundError"):
        inspected(experiment, remote=False)
    (warning,) = inspected(experiment, remote=True)
    assert "spec.env.id: not checked here" in warning and "no_such_package" in warning


def test_code_that_never_ends_its_import_is_a_warning_and_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    experiment = load_experiment(write(tmp_path, "maze:Maze-v0", "{name: ppo}", maze=text))
    monkeypatch.setattr(inspection, "TIMEOUT_S", 0.1)
    with Inspection(experiment, remote=False) as looked:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", "the import")
        (warning,) = looked.warnings
    assert "was not checked: importing its code and making its environment took more than 0.1 s" in warning
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_experiment_without_own_code_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_Inspector", None)
    experiment = load_experiment(write(tmp_path, "CartPole-v1", "{name: ppo}"))
    assert experiment.own_names == {} and plan_for(experiment).name == "own"


def test_the_check_has_the_environment_variables_of_the_role_that_ends_the_run(tmp_path: Path) -> None:
    text = "import os\nassert os.environ['LICENCE'] == 'x'\n" + MAZE.format(made="pass", reset="pass", size=3)
    file = write(tmp_path, "maze:Maze", "{name: ppo}\n  roles: {learner: {env: {LICENCE: x}}}", maze=text)
    assert inspected(load_experiment(file), remote=False) == []


def test_the_folder_of_a_network_in_the_dict_form_travels_too(tmp_path: Path) -> None:
    file = write(tmp_path, "CartPole-v1", "{name: ppo, config: {network: {make: nets:make}}}", nets=NETWORK)
    assert load_experiment(file).own_modules() == ["nets"]


MAZE = """\
import gymnasium, numpy as np

class Maze(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Discrete(2)
    def __init__(self):
        {made}
    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        {reset}
        return np.zeros({size}, np.float32), {{}}
"""


def maze(folder: Path, made: str = "pass", reset: str = "pass", size: int = 3, space: str = "") -> Experiment:
    """An experiment on an environment of one's own."""
    text = MAZE.format(made=made, reset=reset, size=size)
    if space:
        text = text.replace("gymnasium.spaces.Box(-1, 1, (3,))", f"gymnasium.spaces.{space}")
    return load_experiment(write(folder, "maze:Maze", "{name: ppo}", maze=text))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"made": "raise RuntimeError('no licence')"}, r"maze\.py:7: .* cannot be made: RuntimeError: no licence"),
        ({"reset": "raise RuntimeError('no licence')"}, r"maze\.py:10: .* raised RuntimeError in reset: no licence"),
        ({"size": 4}, r"reset\(\) returned an observation of an array of shape \(4,\)"),
        ({"space": "Text(5)"}, r"observation space Text\(1, 5.*has no fixed length. Wrap it to return a Box"),
        ({"space": "Sequence(gymnasium.spaces.Discrete(2))"}, "observation space Sequence.* has no fixed length"),
        ({"space": "Graph(gymnasium.spaces.Discrete(2), None)"}, "observation space Graph.* has no fixed length"),
    ],
)
def test_an_environment_that_no_start_could_use_is_refused_at_its_line_and_nothing_starts(
    place: LocalBackend, tmp_path: Path, broken: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=rf"own\.yaml:5: spec\.env\.id: .*{said}"):
        plan_for(maze(tmp_path, **broken))
    assert place.names() == []


STRAY = """\
import gymnasium, numpy as np

Box, Two = gymnasium.spaces.Box(-1, 1, (3,)), gymnasium.spaces.Discrete(2)

class NoSpaces(gymnasium.Env):
    pass

class NoActions(gymnasium.Env):
    observation_space = Box

class NoEnv:
    observation_space, action_space = Box, Two

class Unseeded(gymnasium.Env):
    observation_space, action_space = Box, Two

    def reset(self):
        return np.zeros(3, np.float32), {}

class Old(Unseeded):
    def reset(self, *, seed=None, options=None):
        return np.zeros(3, np.float32)

class Argument(Unseeded):
    def __init__(self, size):
        pass

def factory():
    raise RuntimeError("no licence")

def checked():
    return int("x")

gymnasium.register("Stray-v0", "stray:NoSpaces")
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NoSpaces", r":5: environment 'stray:NoSpaces': declares no observation_space\. Set it to a space of gym"),
        ("Stray-v0", r":5: environment 'stray:Stray-v0': declares no observation_space\. Set it to a space of gym"),
        ("NoActions", r":8: environment 'stray:NoActions': declares no action_space\. Set it to a space of gym"),
        ("NoEnv", r":11: environment 'stray:NoEnv': .* must inherit from the gymnasium\.Env class"),
        ("Unseeded", r":17: environment 'stray:Unseeded': reset\(\) must take seed= and options=, but takes \(\)"),
        ("Old", r":21: environment 'stray:Old': reset\(\) returned an array of shape \(3,\).*Return both"),
        ("Argument", r":24: environment 'stray:Argument': .*missing 1 required positional argument: 'size'"),
        ("factory", r":29: environment 'stray:factory': cannot be made: RuntimeError: no licence"),
        ("checked", r":32: environment 'stray:checked': cannot be made: invalid literal"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_mistake_in_ones_own_environment_is_told_at_its_line_and_not_at_one_of_gymnasium(
    tmp_path: Path, name: str, said: str, wrapped: bool
) -> None:
    (tmp_path / "stray.py").write_text(STRAY)
    file = tmp_path / "own.yaml"
    wrappers = "[{time_limit: 9}, time_feature]" if wrapped else "[]"
    file.write_text(f"{HEAD}  env: {{id: 'stray:{name}', wrappers: {wrappers}}}\n  algorithm: {{name: ppo}}\n")
    with pytest.raises(InvalidInput, match=rf"own\.yaml:5: spec\.env\.id: {tmp_path}/stray\.py{said}") as refused:
        plan_for(load_experiment(file))
    assert "core.py" not in str(refused.value) and "registration.py" not in str(refused.value)


def test_a_reset_that_fails_now_and_then_is_left_to_the_run(tmp_path: Path) -> None:
    assert inspected(maze(tmp_path, reset="if seed == 0: raise RuntimeError('no licence')")) == []


def test_an_environment_that_fails_on_this_machine_may_work_on_that_of_the_run(tmp_path: Path) -> None:
    (warning,) = inspected(maze(tmp_path, reset="raise OSError('no camera')"), remote=True)
    assert "spec.env.id: not checked here" in warning and "no camera" in warning


def test_a_slow_reset_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "RESET_S", 0.1)
    assert inspected(maze(tmp_path, reset="import time; time.sleep(600)")) == []


def test_an_environment_that_ends_its_process_while_it_is_made_is_refused_with_its_last_words(tmp_path: Path) -> None:
    made = "import os; print('no display', flush=True); os._exit(3)"
    with pytest.raises(InvalidInput, match=r"ended the process that inspected it \(exit 3\).*\nno display"):
        inspected(maze(tmp_path, made=made))


def test_a_version_that_no_simulator_here_runs_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file = write(tmp_path, "Pusher-v4", "{name: ppo}")  # it needs mujoco before 3
    with pytest.raises(InvalidInput, match=r"own\.yaml:5: spec\.env\.id: environment 'Pusher-v4': cannot be made"):
        plan_for(load_experiment(file))
    (warning,) = inspected(load_experiment(file), remote=True)
    assert "own.yaml:5: spec.env.id: not checked here: environment 'Pusher-v4'" in warning
