"""Environments: made from an id, checked once against what they declare, stepped one way by every role."""
