"""Gradient updates of the algorithms that learn from datasets."""
