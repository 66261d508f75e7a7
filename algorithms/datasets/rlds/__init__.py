"""RLDS: folders that TensorFlow Datasets wrote, read without TensorFlow."""
