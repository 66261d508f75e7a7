"""The Ray backend: one actor for each process, which starts the worker, and a detached one that supervises them."""
