"""The machine's own Chromium. Playwright's browsers are not used: they would be downloaded."""

import shutil

#: As Debian, Ubuntu and others name it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = f"there is no Chromium here: install it (apt-get install chromium); looked for {', '.join(NAMES)}"


def find() -> str | None:
    """Return where it is; None if the machine has none."""
    return next(filter(None, map(shutil.which, NAMES)), None)
