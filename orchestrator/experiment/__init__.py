"""The experiment file: its models, completion, overrides and schema."""
