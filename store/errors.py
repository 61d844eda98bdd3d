"""What can go wrong in the store, each with what to do next."""


class StoreError(RuntimeError):
    """The root of the store's errors."""


class DatabaseUnavailableError(StoreError):
    """PostgreSQL cannot be reached just now: wait and try the same transaction again."""


class StatementCutError(StoreError):
    """PostgreSQL ended a statement that took longer than it may: ask for less, or try again."""


class CheckpointConflictError(StoreError):
    """Somebody else moved a checkpoint: nothing was written.

    The worker lost its partition, or an earlier commit of its own took effect although its answer
    never came. Read the checkpoints again and continue from there.
    """


class UnknownRunError(StoreError):
    """There is no run of that name; ``tapewatch status`` lists the runs."""


class RunConflictError(StoreError):
    """A run of that name exists and was made from another feed; choose another name."""


class UnknownDocumentError(StoreError):
    """The run holds no document of that id; the dashboard and ``classify`` show the ids."""


class CorrectionError(StoreError):
    """A correction says nothing, or names what the document's model does not know."""


class PruneConflictError(StoreError):
    """Another prune is at work on the run; wait until it is done."""


class AlertActionError(StoreError):
    """An action on an alert or a silence cannot be taken; the message says what to do instead."""


class SearchCutError(StoreError):
    """A search took longer than it may: choose a shorter span, or narrow it otherwise."""


class UnknownDeadLetterError(StoreError):
    """The run has no dead letter at that position; ``tapewatch dead-letters list`` shows them."""
