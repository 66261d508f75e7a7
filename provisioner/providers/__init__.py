"""Providers of clusters, behind one interface."""
