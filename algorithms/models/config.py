"""Settings of a network, the key `network` of an algorithm's config. Light: it imports neither numpy nor torch."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from surreal.algorithms.algorithm import NUMBERS, Config, Count
from surreal.algorithms.own_code import is_own
from surreal.protocol.documents.effects import SOME, Only

EncoderKind = Literal["auto", "none", "mlp", "nature-cnn", "small-cnn", "impala-resnet"]
Activation = Literal["tanh", "relu", "silu"]
IMAGE_ENCODERS = ("nature-cnn", "small-cnn", "impala-resnet")
Widths = Annotated[list[Count], Field(max_length=8)]
TANH = "tanh networks"
"""Words for the default networks in sentences about them."""
OF_IMAGES = "network of images"
"""Words for a network that observes an image, alone or among other parts."""
CONVOLVED = "a small convolutional network"
"""Words for a network of images whose gradient is also written by hand."""
OF_BUILT_IN = (
    *("encoder", "encoders", "encoder_width", "trunk", "policy", "value", "shared", "memory", "activation"),
    *("layer_norm", "init", "std", "gsde_steps", "squash"),
)
"""Keys of networks that are not one's own."""
View = Literal["auto", "features", "parts"]
Engine = Literal["auto", "analytic", "autograd"]
"""Value of the key `gradients` of a config: by hand, or by torch."""


class MemoryConfig(Config):
    """Memory of a policy over the steps of an episode."""

    kind: Literal["lstm", "gru"] = "lstm"
    """Cell: Hochreiter & Schmidhuber 1997, or Cho et al. 2014."""
    size: Count = 128
    """Units of the cell."""
    forget_bias: float = 0.0
    """Bias at the start of an LSTM's forget gate, or of a GRU's update gate. 1 to 3 keep what was seen for longer
    (Gers et al. 2000; Jozefowicz et al. 2015): at 0 half of it is lost in a step."""


class NetworkConfig(Config):
    """Settings of a policy network and its value network; `module:make` names one of one's own."""

    only = [
        Only(*OF_BUILT_IN, where={"make": None}),
        Only("settings", where={"make": SOME}),
        Only("std", "squash", "gsde_steps", where=NUMBERS),
    ]

    make: str | None = None
    """Networks of one's own, `module:make`. Gradients are autograd's, actors import torch; `settings` alone counts."""
    settings: dict[str, Any] = {}
    """Arguments of `make`; `{make: module:make, width: 32}` is short for them."""

    encoder: EncoderKind = "auto"
    """First layers. auto takes nature-cnn for images of 36 pixels and more a side, small-cnn below, and none for
    numbers."""
    encoders: dict[str, EncoderKind] = {}
    """First layers of single parts of a Dict observation, such as `{camera: impala-resnet, joints: mlp}`."""
    encoder_width: Count | None = None
    """Outputs of an encoder: by default 512 of nature-cnn, 128 of small-cnn, 256 of impala-resnet, 64 of mlp."""
    trunk: Widths = []
    """Dense layers after the encoders and before the memory, which policy and value share."""
    policy: Widths | None = None
    """Dense layers of the policy alone; by default `hidden`, and none after images or memory."""
    value: Widths | None = None
    """Dense layers of the value alone; by default as for `policy`."""
    shared: bool | None = None
    """Policy and value have one encoder; by default where there are images, a trunk or a memory."""
    memory: MemoryConfig | None = None
    """LSTM or GRU between encoders and heads; none by default."""

    activation: Activation = "tanh"
    """Function after each dense layer; convolutions have relu."""
    layer_norm: bool = False
    """Layer normalisation (Ba et al. 2016) before each activation of dense layers."""
    init: Literal["orthogonal", "default"] = "orthogonal"
    """Orthogonal weights, gain sqrt 2, policy head 0.01, value head 1, zero biases; or torch's own."""
    std: Literal["parameter", "state", "gsde"] = "parameter"
    """Standard deviation of a Gaussian policy: one number for each entry, or an output of the network; or gSDE (Raffin
    et al. 2022), noise that is a linear function of the policy's last hidden layer and stays for a while."""
    gsde_steps: Count | None = None
    """Steps after which gSDE draws another such function; by default once a fragment."""
    squash: bool = False
    """Squash the actions of a Gaussian policy by tanh into its bounds, instead of clipping them there."""

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if data is None:
            return {}
        if isinstance(data, str):
            return {"make": data}
        if isinstance(data, dict) and "make" in data and "settings" not in data:
            return {"make": data["make"], "settings": {key: value for key, value in data.items() if key != "make"}}
        return data

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.make is not None and not is_own(self.make):
            raise ValueError(f"make: {self.make!r} is no 'module:make'. Name a function such as my_module:make.")
        if self.gsde_steps is not None and self.std != "gsde":
            raise ValueError("gsde_steps needs gSDE. Set std: gsde, or remove gsde_steps.")
        if self.shared is False and (self.memory is not None or self.trunk):
            part = "memory" if self.memory is not None else "trunk"
            raise ValueError(
                f"shared: False does not go with {part}, which policy and value share. Remove one of them."
            )
        return self

    def lasting(self) -> dict[str, Any]:
        """See Config: all that says what the weights mean, and not how long gSDE keeps its noise."""
        return self.model_dump(exclude={"gsde_steps"})

    @property
    def plain(self) -> bool:
        """True where two tanh networks of equal widths are asked for, whose gradients are also written by hand."""
        fields = type(self).model_fields
        usual = ("make", "encoder", "encoders", "trunk", "memory", "activation", "layer_norm", "init", "std", "squash")
        same = all(getattr(self, name) == fields[name].get_default(call_default_factory=True) for name in usual)
        return same and not self.shared and self.policy == self.value and self.policy != []

    @property
    def convolved(self) -> bool:
        """True where the gradient is written by hand if the only part of an observation is a small image."""
        usual = self.make is None and self.memory is None and not self.layer_norm and self.std == "parameter"
        return usual and self.encoder in ("auto", "small-cnn") and self.activation != "silu"

    @property
    def view(self) -> View:
        """Form of observations that the encoders take: one vector, parts, or parts only where one is an image."""
        if self.encoders or self.encoder in IMAGE_ENCODERS:
            return "parts"
        return "auto" if self.encoder == "auto" and self.make is None else "features"


def _with_short_forms(schema: dict[str, Any]) -> None:
    """Allow `module:make`, null and `{make: ...}` with any settings in the JSON Schema for editors."""
    whole = {key: schema.pop(key) for key in ("$ref", "allOf") if key in schema}
    named = {"type": "object", "required": ["make"]}
    schema["anyOf"] = [whole, {"type": "string"}, {"type": "null"}, named]


Network = Annotated[NetworkConfig, Field(json_schema_extra=_with_short_forms)]
"""Type of the key `network` in the config of an algorithm."""
