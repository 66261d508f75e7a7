"""Experiments of the cluster: each reconciled with its run."""
