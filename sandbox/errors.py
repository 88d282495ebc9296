"""Holds the error that a user of the sandbox can do something about."""


class SandboxError(Exception):
    """A problem of the sandbox. Its message says what happened and what to do next."""
