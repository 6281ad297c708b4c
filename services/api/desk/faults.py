"""Why something cannot be taken or done, as a sentence. The reasons are those that the API gives."""

from libs.common.catalogue import gettext as _
from libs.common.catalogue import said


def of(what: str, reason: str) -> str:
    """Return what is wrong with a thing: the reason goes on where the thing is named, as "must show something" does."""
    # Translators: what is at fault and why, such as "The follow-up" and "must show something".
    return _("%(what)s %(reason)s.") % {"what": what, "reason": said(reason)}


def whole(reason: str) -> str:
    """Return a reason that says itself what it is about."""
    words = said(reason)
    return _("%(reason)s.") % {"reason": words[:1].upper() + words[1:]}
