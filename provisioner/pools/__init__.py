"""Pools of machines, from a file, from nodes, from a cluster or from this machine."""
