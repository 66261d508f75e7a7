"""Experiment: one complete and checked description of a run, made in Python or read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from surreal.algorithms.environments.options import below_code
from surreal.algorithms.environments.suites import is_current
from surreal.algorithms.own_code import own_names
from surreal.orchestrator.experiment.complete import code_folder, complete
from surreal.orchestrator.experiment.model import ExperimentDocument, ExperimentSpec, Metadata
from surreal.orchestrator.experiment.references import reference, source_folder
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import KeyPath, Source
from surreal.protocol.documents.models import API_VERSION
from surreal.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from surreal.algorithms.algorithm import Algorithm, Configured


class Experiment:
    """A complete, checked experiment with its resolved algorithm. Equal documents make equal experiments."""

    def __init__(
        self,
        name: str,
        env: str | Mapping[str, Any],
        algorithm: Algorithm | Configured | str,
        *,
        roles: Mapping[str, Any] | None = None,
        seed: int = 1,
        labels: Mapping[str, str] | None = None,
        folder: Path | str | None = None,
        **spec: Any,
    ) -> None:
        """Describe a run of `algorithm` on `env`.

        `env` is an id or the mapping `spec.env` of a file. `roles` maps a role's name to `surreal.Role(replicas=64)` or
        to the mapping of a file. Further keywords are the keys of `spec` in snake case, such as `checkpoints`,
        `storage` and `code`. `folder` holds your own modules; the default is the algorithm's own folder, or the
        current one. Raises InvalidInput that names every problem.
        """
        if callable(env):
            raise InvalidInput(f"env: {env!r} would be unknown to workers. Name it: 'my_module:{env.__name__}'.")
        data = {
            "apiVersion": API_VERSION,
            "kind": "Experiment",
            "metadata": {"name": name, "labels": dict(labels or {})},
            "spec": {
                "env": {"id": env} if isinstance(env, str) else dict(env) if isinstance(env, Mapping) else env,
                "algorithm": reference(algorithm),
                "roles": {role: _plain(options) for role, options in (roles or {}).items()},
                "seed": seed,
                **{to_camel(key): _plain(value) for key, value in spec.items()},
            },
        }
        place = Path(folder) if folder is not None else source_folder(algorithm) or Path.cwd()
        self._complete(data, Source("Experiment"), place)

    def _complete(self, data: Any, source: Source, folder: Path) -> None:
        self.source = source
        """Lines of the keys, for errors that are found later."""
        self.folder = folder.absolute()
        """Folder of its file, where its paths begin."""
        # with one more role for each broadcast that has relays
        self._document, self.algorithm, self.config = complete(ExperimentDocument, data, source, self.folder)

    @classmethod
    def from_data(cls, data: Any, source: Source | None = None, folder: Path | None = None) -> Experiment:
        """Check plain `data` and fill in defaults. Raises InvalidInput that names every problem."""
        experiment = cls.__new__(cls)
        experiment._complete(data, source or Source(), folder or Path.cwd())
        return experiment

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._document.metadata.name

    @property
    def metadata(self) -> Metadata:
        """Name and labels."""
        return self._document.metadata

    @property
    def spec(self) -> ExperimentSpec:
        """Everything but the name."""
        return self._document.spec

    @property
    def own_names(self) -> dict[KeyPath, str]:
        """Key -> `module:object` of all code of one's own that it names."""
        env = self.spec.env.model_dump(include={"id", "wrappers", "evaluation"})
        return own_names(self.spec.algorithm.name, self.spec.algorithm.config, env)

    @property
    def env(self) -> dict[str, Any]:
        """`spec.env` as its processes have it: paths in its options begin at `code_folder`."""
        env = self.spec.env
        return {**env.model_dump(mode="json"), "options": below_code(env.options, self.spec.code or "")}

    @property
    def code_folder(self) -> Path:
        """Folder of the modules that its processes import, here and on a cluster: that of `spec.code`."""
        return code_folder(self.spec.code, self.folder)

    @property
    def is_ordinary(self) -> bool:
        """True for what surely works: two tanh networks on a current environment of gymnasium as it comes.

        Nothing does with an algorithm that takes some of those environments only, or on a GPU that may not be there.
        """
        if self.algorithm.selective or getattr(self.config, "device", "") == "cuda":
            return False
        env = self.spec.env
        usual = getattr(getattr(self.config, "network", None), "plain", True)
        return usual and is_current(env.id) and not (env.wrappers or env.options or self.own_names)

    def own_modules(self) -> list[str]:
        """Return the modules that it names and that its folder holds: of algorithm, config and environment."""
        roots = [name.partition(":")[0].partition(".")[0] for name in self.own_names.values()]
        here = self.code_folder
        return [root for root in dict.fromkeys(roots) if (here / f"{root}.py").is_file() or (here / root).is_dir()]

    def to_data(self) -> dict[str, Any]:
        """Return plain data that says all defaults."""
        return self._document.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """Return the file that says all defaults; loading it gives an equal Experiment."""
        return strictyaml.dump(self.to_data())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and self._document == other._document

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        spec = self.spec
        return f"Experiment({self.name!r}, {spec.env.id!r}, {spec.algorithm.name!r}, seed={spec.seed})"


def _plain(value: Any) -> Any:
    """Return the plain data of a model, of a role's options, or of anything that is plain already."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, Path):
        return str(value)
    return value.to_data() if hasattr(value, "to_data") else value
