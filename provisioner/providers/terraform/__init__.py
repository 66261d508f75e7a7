"""Terraform files of a cluster, and the program that applies them."""
