"""The local backend: processes of one machine under a supervisor."""
