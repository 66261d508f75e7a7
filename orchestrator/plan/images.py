"""Images of roles: the one that the file names, or a default whose torch can use what the role asks for."""

from collections.abc import Mapping

from surreal.orchestrator.experiment.model import ExperimentSpec, RoleSpec
from surreal.orchestrator.experiment.pod_model import default_image

NVIDIA = "nvidia.com/"


def image_of(spec: RoleSpec, whole: ExperimentSpec) -> str:
    """Return a role's image: the default one has CUDA where the role asks for GPUs of NVIDIA."""
    asked = spec.resources
    return spec.image or whole.image or default_image(cuda=bool(asked.gpu) and asked.gpu_resource.startswith(NVIDIA))


def gpus_unused(specs: Mapping[str, RoleSpec], whole: ExperimentSpec) -> tuple[str, ...]:
    """Return warnings of roles that ask for GPUs which the default image has no torch for."""
    return tuple(
        f"{name} asks for {spec.resources.gpu_resource} and computes on the CPU: {default_image()} has no torch for "
        f"it. Name an image that has with spec.roles.{name}.image."
        for name, spec in specs.items()
        if spec.resources.gpu and image_of(spec, whole) == default_image()
    )
