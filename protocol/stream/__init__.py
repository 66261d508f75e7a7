"""Streams: messages that are delivered in order, with a window as back-pressure."""
