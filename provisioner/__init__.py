"""Clusters and node pools: what machines there are, and what they can hold.

Knows nothing of experiments. The pool inventory it returns is what the orchestrator places roles on.
"""
