"""Experiments as Kubernetes objects: `backend.KubeBackend`, and what it is made of."""
