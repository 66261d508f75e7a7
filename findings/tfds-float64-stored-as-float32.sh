#!/usr/bin/env bash
# tensorflow-datasets 4.9.10 with tensorflow-cpu 2.21.0: a Tensor feature of float64 is stored as float32 and read as float64.
# Expected: what was written as float64 is read as the same numbers, as int64 is, or float64 is refused.
# Seen: the dtype is float64 again, half of the digits are gone, without a warning. MuJoCo's observations are float64.
# Cause: tf.train.Example has float32 lists alone; only encoding="bytes" or "zlib" keeps the bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow-datasets==4.9.10 tensorflow-cpu==2.21.0 etils==1.15.0 importlib_resources==7.1.0 2>/dev/null
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=
"$folder/venv/bin/python" -W ignore - 2>/dev/null <<'PYTHON'
import numpy as np
import tensorflow_datasets as tfds

def read_back(encoding):
    tensor = tfds.features.Tensor(shape=(2,), dtype=np.float64, encoding=encoding)
    features = tfds.features.FeaturesDict({"state": tensor})
    data = features.serialize_example({"state": np.array([0.1, 1 / 3])})
    return features.deserialize_example(data)["state"].numpy()

found, exact = read_back("none"), read_back("bytes")
print("written:          ", [0.1, 1 / 3])
print("read:             ", found.tolist(), found.dtype)
print("with bytes:       ", exact.tolist(), exact.dtype)
lossy = found.dtype == np.float64 and np.array_equal(found, np.float32([0.1, 1 / 3]).astype(np.float64))
raise SystemExit(not (lossy and np.array_equal(exact, [0.1, 1 / 3])))
PYTHON
