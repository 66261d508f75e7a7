"""The cluster file: model, validation, life cycle and the store of known clusters."""
