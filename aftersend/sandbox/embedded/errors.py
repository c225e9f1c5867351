"""The one error that embedded servers raise."""


class EmbeddedUnavailableError(RuntimeError):
    """A server cannot be had here; the message says in one line what is missing and how to get it."""
