"""Arguments in, tables out. No logic lives here: every command is a few calls into the layers below."""
