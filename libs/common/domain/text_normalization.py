"""Bodies in a form in which ours and the carrier's log can be compared.

What is in the log is not always what was sent. Twilio's smart encoding puts ASCII for typographic quotes and dashes so
that a message fits GSM-7 (https://www.twilio.com/docs/messaging/services), white space comes back changed,
and a trial account's messages begin with a sentence of Twilio's. Matching by exact text failed on just these (failure
mode 29 of the reference system), and here a message that is not found in the log is sent again: so both sides are
brought to one form that keeps what people read and forgets how it was typed. It is for comparing only, never for
sending.
"""

import re
import unicodedata

_TRIAL_PREFIX = re.compile("(?:Sent from your Twilio trial account - ?)*")

_REPLACEMENTS = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′‵ʹʻʼʽˈ`´＇‹›", "'"),
        **dict.fromkeys("“”„‟″‶ʺ«»〝〞〟＂", '"'),
        **dict.fromkeys("‐‑‒–—―−﹘﹣－⁃", "-"),
        "…": "...",
        "•": "*",
        "⁄": "/",
    }
)
#: Shown by nothing, and dropped on the way: controls, joiners, marks of direction, variation selectors.
_INVISIBLE = re.compile("[\u034f\ufe00-\ufe0f]")


def normalise(body: str) -> str:
    """Return the form of a body in which it is compared. The form of a form is itself."""
    visible = "".join(
        character
        for character in _INVISIBLE.sub("", unicodedata.normalize("NFC", body))
        if character.isspace() or unicodedata.category(character) not in ("Cc", "Cf")
    )
    plain = unicodedata.normalize("NFKC", visible.translate(_REPLACEMENTS)).translate(_REPLACEMENTS)
    return _TRIAL_PREFIX.sub("", " ".join(plain.split()), count=1)
