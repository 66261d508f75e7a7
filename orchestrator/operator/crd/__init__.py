"""Definitions of the custom resources, made from the models of the documents."""
