"""The keys of an experiment, for backends whose processes talk over a network."""

from surreal.orchestrator.plan import Plan


def key_files(plan: Plan) -> dict[str, str]:
    """New keys: role -> content of the key file that each of its processes gets, and nobody else.

    A backend makes them once, when it creates an experiment, keeps them where only it and the role can read (a file of
    mode 0600, a Secret mounted with mode 0400), and names the file in `Wiring.keys`.
    """
    from surreal.protocol.transport.curve_keys import (
        make_key_files,  # which needs libzmq, and the orchestrator otherwise does not
    )

    return make_key_files(role.name for role in plan.roles)
