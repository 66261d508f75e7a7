"""Reasons why an image cannot be pulled, in the registry's words, with the thing to check."""

import re
from functools import lru_cache

from surreal.orchestrator.experiment.pod_model import default_image
from surreal.provisioner.kube.objects import clip

PULLING = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ErrImageNeverPull", "ImageInspectError")
INVALID = "InvalidImageName"
_RPC = re.compile(r"^(ErrImagePull: )?(rpc error: code = \w+ desc = )?")
_RESOLVE = re.compile(r"^failed to (resolve|do) (image|reference|request)[^:]*: ")
_DENIED = re.compile(r"denied|unauthori|forbidden|\b40[13]\b|credential", re.IGNORECASE)
_UNREACHABLE = re.compile(r"no such host|refused|timeout|deadline|unreachable|EOF|TLS|x509", re.IGNORECASE)


@lru_cache(maxsize=256)  # a thousand pods say the same
def cannot_pull(image: str, reason: str, message: str, node: str, role: str) -> str:
    """Return one sentence for a container that waits for its image; `message` is the kubelet's."""
    check = f"spec.image (or spec.roles.{role}.image)"
    if reason == INVALID:
        return f"{image!r} is no name of an image: correct {check}"
    if reason == "ErrImageNeverPull":
        return f"node {node} does not have {image} and imagePullPolicy is Never: load the image, or change the policy"
    words = registry_words(message, image)
    return f"cannot pull {image}: {words or 'the registry has not said why'}; {_way_out(image, words, check)}"


def registry_words(message: str, image: str) -> str:
    """Return the registry's words, without the prefixes of the programs between; empty where they are missing."""
    said = message.rpartition('": ')[2]
    if said.startswith("Back-off pulling image"):
        return ""
    said = _RESOLVE.sub("", _RPC.sub("", said))
    return clip(re.sub(rf"^[\w./-]*{re.escape(image)}: ", "", said)).rstrip(" .")


def _way_out(image: str, words: str, check: str) -> str:
    if image in (default_image(), default_image(cuda=True)):
        option = " --torch cuda" if image == default_image(cuda=True) else ""
        return f"build or load it (surreal image build{option}), or set {check}"
    if _UNREACHABLE.search(words):
        return f"check {check}, and whether the nodes reach the registry"
    if _DENIED.search(words):
        return f"check {check} and spec.imagePullSecrets"
    return f"check {check}"
