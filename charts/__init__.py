"""Data only: the Helm chart of what a cluster needs once (none yet; see the roadmap in README)."""
