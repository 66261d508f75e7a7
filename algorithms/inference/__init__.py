"""Central inference: actors step environments, a role answers their observations in batches (Espeholt et al. 2020)."""
