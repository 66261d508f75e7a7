"""The container image that every pod of an experiment runs: what it is called and how it is built."""

from importlib.metadata import version


def default_image() -> str:
    """The image of this version of surreal, as `surreal image build` names it."""
    return f"surreal:{version('surreal')}"
