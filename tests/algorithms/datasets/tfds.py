"""RLDS datasets for tests, written by protobuf's own encoder and TensorBoard's checksum: no code of the reader."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # type: ignore[import-untyped]
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from surreal.algorithms.types import Array

KINDS = {"f": "float_list", "i": "int64_list", "u": "int64_list"}
FIELD = descriptor_pb2.FieldDescriptorProto


def _example_class() -> Any:
    """Return the message tf.train.Example, described here."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tf", syntax="proto3")

    def message(name: str, *fields: tuple[str, int, Any, int, str]) -> Any:
        made = file.message_type.add(name=name)
        for field, number, kind, label, of in fields:
            made.field.add(name=field, number=number, type=kind, label=label, type_name=of or None)
        return made

    many, one, of = FIELD.LABEL_REPEATED, FIELD.LABEL_OPTIONAL, FIELD.TYPE_MESSAGE
    message("BytesList", ("value", 1, FIELD.TYPE_BYTES, many, ""))
    message("FloatList", ("value", 1, FIELD.TYPE_FLOAT, many, ""))
    message("Int64List", ("value", 1, FIELD.TYPE_INT64, many, ""))
    lists = (("bytes_list", 1, ".tf.BytesList"), ("float_list", 2, ".tf.FloatList"), ("int64_list", 3, ".tf.Int64List"))
    message("Feature", *((name, number, of, one, kind) for name, number, kind in lists))
    features = message("Features", ("feature", 1, of, many, ".tf.Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=FIELD.TYPE_STRING, label=one)
    entry.field.add(name="value", number=2, type=of, label=one, type_name=".tf.Feature")
    message("Example", ("features", 1, of, one, ".tf.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.Example"))


EXAMPLE = _example_class()


def example(values: dict[str, Any]) -> bytes:
    """Return an Example of arrays, or lists of bytes, by name."""
    made = EXAMPLE()
    for name, value in values.items():
        if isinstance(value, list):
            made.features.feature[name].bytes_list.value.extend(value)
        else:
            array = np.asarray(value)
            array = array.astype(np.int64) if array.dtype.kind == "b" else array
            getattr(made.features.feature[name], KINDS[array.dtype.kind]).value.extend(array.ravel().tolist())
    return bytes(made.SerializeToString())


def framed(data: bytes) -> bytes:
    """Return a record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def tensor(dtype: str, *shape: int, **more: str) -> dict[str, Any]:
    """Return one feature as features.json describes it."""
    shaped = {"dimensions": [str(size) for size in shape]} if shape else {}
    name = "tensorflow_datasets.core.features.tensor_feature.Tensor"
    return {"pythonClassName": name, "tensor": {"shape": shaped, "dtype": dtype, "encoding": "none", **more}}


def of_dict(**features: Any) -> dict[str, Any]:
    """Return a dictionary of features."""
    name = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    return {"pythonClassName": name, "featuresDict": {"features": features}}


def described(**changes: Any) -> dict[str, Any]:
    """Return features.json of episodes with observations of two arrays; `changes` replace features, None leaves out."""
    step = {
        "observation": of_dict(place=tensor("float64", 2), lamp=tensor("uint8")),
        "action": tensor("float32", 1),
        "reward": tensor("float32"),
        "discount": tensor("float32"),
        **{flag: tensor("bool") for flag in ("is_first", "is_last", "is_terminal")},
        **changes,
    }
    inner = of_dict(**{name: feature for name, feature in step.items() if feature is not None})
    name = "tensorflow_datasets.core.features.dataset_feature.Dataset"
    return of_dict(steps={"pythonClassName": name, "sequence": {"feature": inner, "length": "-1"}})


def steps(number: int, rows: int = 4, terminal: bool = False) -> dict[str, Any]:
    """Return the values of an episode of `rows` observations: row t is (number, t), its lamp 200 + t."""
    last = np.arange(rows) == rows - 1
    values: dict[str, Array] = {
        "observation/place": np.stack([np.full(rows, float(number)), np.arange(rows)], axis=1),
        "observation/lamp": 200 + np.arange(rows),
        "action": np.arange(rows) / 10 - 1,
        "reward": number + np.arange(rows) / 100,
        "discount": np.ones(rows),
        "is_first": np.arange(rows) == 0,
        "is_last": last,
        "is_terminal": last & terminal,
    }
    return {f"steps/{name}": value for name, value in values.items()}


def written(folder: Path, episodes: list[dict[str, Any]], files: int = 2, **changes: Any) -> Path:
    """Return a folder with these episodes in some files of the split `train`."""
    folder.mkdir(exist_ok=True)
    (folder / "features.json").write_text(json.dumps(described(**changes)))
    counts = [len(episodes[number::files]) for number in range(files)]
    info = {"name": "walks", "splits": [{"name": "train", "shardLengths": [str(count) for count in counts]}]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    for number in range(files):
        data = b"".join(framed(example(each)) for each in episodes[number::files])
        (folder / f"walks-train.tfrecord-{number:05}-of-{files:05}").write_bytes(data)
    return folder
