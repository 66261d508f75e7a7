"""The plan of an experiment: machines, roles, channels and cost."""
