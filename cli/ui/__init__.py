"""What all verbs share of options, tables and live views."""
