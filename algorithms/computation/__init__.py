"""Computation graphs: networks as lists of operations, and the runtimes and files of them."""
