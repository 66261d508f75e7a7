"""Options, tables and live views that all verbs share."""
