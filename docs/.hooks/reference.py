"""The page of all keys is made when the site is built, from the models that check the files."""

from typing import Any

from mkdocs.structure.files import File

from surreal.orchestrator.experiment.explain import markdown


def on_files(files: Any, config: Any) -> Any:
    """Add reference.md."""
    files.append(File.generated(config, "reference.md", content=markdown()))
    return files
