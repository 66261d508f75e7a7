"""Cost of surreal's commands beside the training: create, profile, predict, sweep and open."""
