"""One environment, which a test holds on to, as a vector of one copy."""

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.vector import VectorEnvironments


def vector_of(env: Environment) -> VectorEnvironments:
    """Return `env` as the only copy."""
    return VectorEnvironments(lambda: env, 1, 0)
