"""The error of the embedded servers."""


class EmbeddedUnavailableError(RuntimeError):
    """A server cannot run on this machine; the message states in one line what is missing and how to install it."""
