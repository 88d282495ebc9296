"""What can go wrong with a sandbox in a way its user can do something about."""


class SandboxError(Exception):
    """The sandbox can't do what it was asked; the message says why and what to try."""
