"""Files of a run: metrics, checkpoints, progress, all written by the process of the role that ends the run."""
