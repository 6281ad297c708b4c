"""Browsers by the names that people know, from what they send as `User-Agent`."""

from libs.common.catalogue import gettext as _

#: What stands in it, and what that is called. Most pretend to be others, too: the first that is found counts.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)
LONGEST = 60  # characters of one that nobody knows


def named(agent: str) -> str:
    """Return "Firefox on Windows", or the beginning of what was sent where the browser is not known."""
    browser = next((name for sign, name in BROWSERS if sign in agent), None)
    system = next((name for sign, name in SYSTEMS if sign in agent), None)
    if browser is None:
        return agent[:LONGEST] or _("An unknown browser")
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": system} if system else browser
