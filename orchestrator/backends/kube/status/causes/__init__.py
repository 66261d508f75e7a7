"""Causes that keep a pod from running, one family a module."""
