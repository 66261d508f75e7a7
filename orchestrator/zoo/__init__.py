"""Translation of rl-baselines3-zoo's hyperparameter files to experiment files, key by key."""
