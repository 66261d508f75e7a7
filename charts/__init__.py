"""Data only: the Helm chart of what a cluster needs once."""
