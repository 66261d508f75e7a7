"""Notes of a plan on the environment: its wrappers, and how its copies are stepped."""

from surreal.algorithms.environments.batched.known import note, reason_against
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.model import EnvSpec


def environment_notes(experiment: Experiment) -> tuple[str, ...]:
    """Return the notes. Raises InvalidInput where copies are to be stepped in a way that is impossible."""
    return *_wrapped(experiment.spec.env), *_stepped(experiment)


def _wrapped(env: EnvSpec) -> tuple[str, ...]:
    """Return the note that names the wrappers of the environment, presets written out."""
    if not env.wrappers:
        return ()
    # gymnasium is slow to import, and most experiments have no wrappers
    from surreal.algorithms.environments.wrappers import expand, for_evaluation, said

    evaluated = env.evaluation.wrappers if env.evaluation.wrappers is not None else for_evaluation(env.wrappers)
    inside = f"the environment is wrapped in {said(expand(env.wrappers))}"
    return (f"{inside}; for an evaluation in {said(expand(evaluated)) or 'nothing'}",)


def _stepped(experiment: Experiment) -> tuple[str, ...]:
    """Return the note on how copies are stepped. Raises InvalidInput where `batched` is asked for and impossible."""
    env = experiment.spec.env
    reason = reason_against(env.id, env.wrappers, list(env.options))
    if experiment.spec.record is not None:
        reason = reason or "spec.record sees the steps of gymnasium alone"
    if env.stepping == "batched" and reason:
        text = f"'batched' is not possible: {reason}. Remove the key, or set auto."
        raise experiment.source.invalid([(("spec", "env", "stepping"), text)])
    return tuple(filter(None, (note(env.stepping, reason),)))
