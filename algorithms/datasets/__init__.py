"""Recorded experience: episodes in files of the field's formats, read as a stream and written so that none is lost."""
