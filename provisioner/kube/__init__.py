"""The one Kubernetes client: kubeconfig, requests, retries, errors and objects."""
