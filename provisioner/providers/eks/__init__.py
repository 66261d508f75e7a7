"""Clusters on Amazon's Elastic Kubernetes Service."""
