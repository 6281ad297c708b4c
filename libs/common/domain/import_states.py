"""How an import of a file of people at the desk stands."""

from enum import StrEnum


class ImportState(StrEnum):
    """How an import stands."""

    #: The file is here, and nobody has looked at what comes of it.
    UPLOADED = "uploaded"
    #: It was read as a trial.
    CHECKED = "checked"
    #: Its people are being merged, or were until the process ended.
    RUNNING = "running"
    DONE = "done"
    UNDONE = "undone"


#: The file is kept.
WITH_FILE = (ImportState.UPLOADED, ImportState.CHECKED, ImportState.RUNNING)
