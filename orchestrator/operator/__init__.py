"""Operator of a cluster: Experiments and Sweeps as resources, and the loop that makes them happen."""
