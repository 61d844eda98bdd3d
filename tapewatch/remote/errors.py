"""What goes wrong between a worker and the server that scores for it."""


class ScorerError(Exception):
    """The message says what happened, at which address, and what to do next."""


class ScorerUnavailableError(ScorerError):
    """The server was away or busy for longer than the patience of the settings."""
