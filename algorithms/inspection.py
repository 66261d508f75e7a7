"""Inspection of an experiment before a run: `python -P -m surreal.algorithms.inspection`.

It imports what the experiment names as `module:object`, makes the environment, asks the algorithm whether its config
fits, and resets the environment. That may need torch and a simulator, so it runs in a process of its own, which also
may hang or die. Standard input is a Request as JSON. Each line of standard output is a Report, the last one after the
reset, which may take long. What the code itself prints goes to stderr.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from surreal.algorithms.algorithm import ACTIONS
from surreal.algorithms.devices import NO_GPU, gpu_present
from surreal.algorithms.own_code import (
    ALGORITHM,
    CONFIG,
    ENV,
    MissingModuleError,
    defined_at,
    import_own,
    is_below,
    load_own,
    own_line,
    own_names,
)
from surreal.algorithms.registry import BUILT_IN, algorithm
from surreal.protocol.documents.effects import idle_keys
from surreal.protocol.documents.locations import KeyPath
from surreal.protocol.errors import Fatal, InvalidInput, SurrealError

if TYPE_CHECKING:
    from surreal.algorithms.environments.environment import Environment
    from surreal.algorithms.environments.spaces import View

Make = Callable[["View"], "Environment"]
Check = Callable[[Any, Make], Iterable[tuple[str, str]]]
WRAPPERS = "env.wrappers: "
"""Beginning of an error of a wrapper."""
OF_ALGORITHM = "algorithm.name: "
"""Begin of a sentence on an environment that the algorithm does not take."""
RESETS = 3
"""Equal failures of a reset that refuse an environment: as many as end a run that has not begun."""


@dataclass(frozen=True)
class Request:
    """Names and settings of an experiment."""

    folder: str
    """Folder of the experimenter's own modules."""
    algorithm: str
    config: dict[str, Any]
    env: dict[str, Any]
    """The environment's part of the experiment file."""
    remote: bool = False
    """True where the run is on other machines, which may have what is missing here."""
    view: "View | None" = None
    """Way to see the environment; where one is given its spaces are asked for, and nothing else."""


@dataclass(frozen=True)
class Finding:
    """One thing that does not work."""

    path: KeyPath
    text: str
    refused: bool = True
    """False where it may work in the run, so that it is a warning."""
    certain: bool = False
    """True for a warning of what was seen, and not of what could not be."""


@dataclass(frozen=True)
class Report:
    """One part of the answer."""

    findings: tuple[Finding, ...] = ()
    note: str = ""
    """Sentence about the network; empty where the algorithm says none."""
    spaces: dict[str, Any] | None = None
    """The spaces of observation and action as a policy record has them, where they were asked for."""


class _Maker:
    """Makes the environment as the algorithm sees it, once."""

    def __init__(self, request: Request, made: ExitStack) -> None:
        self._request, self._made = request, made
        self.environment: Environment | None = None

    def __call__(self, view: "View") -> "Environment":
        from surreal.algorithms.environments.make import make_env

        if self.environment is None:
            self.environment = self._made.enter_context(
                closing(make_env(self._request.env, self._request.folder, view))
            )
        return self.environment


def inspect(request: Request) -> Iterator[Report]:
    """Yield what is found before the environment is reset, then what the reset shows."""
    wrong = tuple(_imports(request))
    if wrong:
        yield Report(wrong)
        return
    with ExitStack() as made:
        maker = _Maker(request, made)
        if request.view is not None:
            yield _seen(request, maker, request.view)
            return
        yield _checked(request, maker)
        if maker.environment is not None:
            yield Report(tuple(_resets(request, maker.environment)))


def _imports(request: Request) -> Iterator[Finding]:
    """Import all that is named, in the order of its use."""
    for path, name in own_names(request.algorithm, request.config, request.env).items():
        try:
            _load(path, name)
        except MissingModuleError as error:
            yield Finding(path, str(error), refused=not request.remote)
        except InvalidInput as error:
            yield Finding(path, str(error))


def _load(path: KeyPath, name: str) -> None:
    """Import one name. Raises InvalidInput, with file and line, for what does not work."""
    if path == ENV:
        # Importing the module registers its environments; `Id-v0` is no attribute of it.
        import_own(name, None)
    elif path == ALGORITHM:
        for role in algorithm(name).roles:
            load_own(role.entry_point, None)
    else:
        load_own(name, None)


def _checked(request: Request, make: _Maker) -> Report:
    """Make the environment and return what the algorithm says of its config there: pairs, that of no key is a note."""
    described = algorithm(request.algorithm)
    check: Check = load_own(described.check, None) if described.check else _any_view
    config = described.config.model_validate(request.config)
    found, note = list(_device(request, config)), ""
    try:
        for key, text in check(config, make):
            if key:
                found.append(Finding((*CONFIG, key), text))
            else:
                note = text
    except SurrealError as error:
        found.append(_unmade(request, error))
    return Report((*found, *_idle(config, make.environment)), note)


def _seen(request: Request, make: _Maker, view: "View") -> Report:
    """Make the environment and return its spaces."""
    from surreal.algorithms.recording.policy_record import space_data

    try:
        found = make(view).spaces
    except SurrealError as error:
        return Report((_unmade(request, error),))
    return Report(spaces={"observation": space_data(found.observation_space), "action": space_data(found.action_space)})


def _idle(config: Any, env: "Environment | None") -> Iterator[Finding]:
    """Yield the keys that have no effect with the actions of the environment, beyond those that a plan tells."""
    if env is None or not isinstance(config, BaseModel):
        return
    known = {path for path, _ in idle_keys(config)}
    for path, text in idle_keys(config, {ACTIONS: "choices" if env.spaces.discrete else "numbers"}):
        if path not in known:
            yield Finding((*CONFIG, *path), text, refused=False, certain=True)


def _device(request: Request, config: Any) -> Iterator[Finding]:
    """Yield what is wrong with the device for a run on this machine; one's own algorithm may mean something else."""
    asked = not request.remote and request.algorithm in BUILT_IN and getattr(config, "device", "") == "cuda"
    if asked and not gpu_present():
        yield Finding((*CONFIG, "device"), NO_GPU)


def _any_view(config: Any, make: Make) -> Iterator[tuple[str, str]]:
    """Make the environment as a whole, so that only spaces that no policy takes are refused."""
    make("parts")
    return iter(())


def _unmade(request: Request, error: SurrealError) -> Finding:
    """Return why there is no environment. What may be otherwise where and when the run is, is left to it."""
    from surreal.algorithms.environments.make import MAY_PASS

    cause, found = error.__cause__, _of(str(error))
    if found.path == ALGORITHM:
        return found
    elsewhere, text = cause is not None and (request.remote or isinstance(cause, MAY_PASS)), found.text
    if found.path == ENV:
        text = text.removeprefix("env.id: ")  # the line of the experiment names the key
        return Finding(ENV, _located(request, text, cause), refused=not elsewhere)
    folder = Path(request.folder).absolute()
    place = "" if cause is None else own_line(cause, folder)
    # A wrapper of one's own is there to be mended; a line of another's tells nothing.
    own = Path(place).is_relative_to(folder)
    return Finding(found.path, f"{place}: {text}" if own else text, refused=not elsewhere)


def _of(text: str) -> Finding:
    """Return a sentence at the key that it begins with: of the algorithm, of a wrapper, or else of the environment."""
    for start, key in (OF_ALGORITHM, ALGORITHM), (WRAPPERS, (*ENV[:-1], "wrappers")):
        if text.startswith(start):
            return Finding(key, text.removeprefix(start))
    return Finding(ENV, text)


def _is_own(request: Request) -> bool:
    """Return True where the environment is of a module of one's own, and not of a suite."""
    return ":" in str(request.env["id"])


def _located(request: Request, text: str, cause: BaseException | None, thing: Any = None) -> str:
    """Return a sentence about an environment: of one's own with the file and line that raised, or else that define it.

    `thing` is the part of it that is meant, if one is. What is declared or returned wrongly raises nothing there.
    """
    from surreal.algorithms.environments.make import named

    if not _is_own(request):
        return text
    folder, raised = Path(request.folder).absolute(), cause is not None and not isinstance(cause, SurrealError)
    found = [own_line(cause, folder)] if cause and raised else []
    # a reset that was not written is gymnasium's, and the class is where it is missing
    found += [place for each in (thing, named(str(request.env["id"]))) if is_below(place := defined_at(each), folder)]
    place = next(filter(None, found), "")
    return f"{place}: {text}" if place else text


def _resets(request: Request, env: "Environment") -> Iterator[Finding]:
    """Yield what is wrong with the first observation, or with a reset that fails again and again."""
    from surreal.algorithms.environments.masks import check_masks
    from surreal.algorithms.environments.wrappers import own_wrappers

    masks = algorithm(request.algorithm).masks
    reset, said = type(env.gymnasium.unwrapped).reset, list[str]()
    for seed in range(RESETS):
        try:
            env.reset(seed)
            check_masks(request.algorithm, env.name, bool(env.masked) and not masks)
            if env.idle_mask:
                yield Finding(ENV, env.idle_mask, refused=False, certain=True)
            return
        except Fatal as error:
            found = _of(str(error))
            own = found.path == ENV and not own_wrappers(request.env.get("wrappers") or [])
            yield replace(found, text=_located(request, found.text, None, reset)) if own else found
            return
        except SurrealError as error:
            said.append(_located(request, str(error), error.__cause__, reset))
    if len(set(said)) == 1:
        yield Finding(ENV, said[0], refused=not request.remote)


def main() -> None:
    """Answer the request on standard input."""
    answer = os.dup(1)
    # The code may print; its words must not mix with the answer.
    os.dup2(2, 1)
    request = Request(**json.load(sys.stdin))
    sys.path.append(request.folder)
    for report in inspect(request):
        os.write(answer, json.dumps(asdict(report)).encode() + b"\n")


if __name__ == "__main__":
    main()
