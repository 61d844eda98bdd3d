"""What all of the classifier's own errors are: something a user can mend. Knows no torch."""


class ClassifierError(Exception):
    """The message says what happened, where, and what to do next."""
