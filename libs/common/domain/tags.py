"""Tags: what contacts are told apart by. Letters and digits of any script, with the marks that belong to them.

They are kept composed (NFC), so that one tag is one however it was typed. No comma or semicolon is in them, since those
separate tags in files.
"""

import unicodedata
from functools import lru_cache

from libs.common.texts import gettext_noop as n_

LONGEST = 64  # characters
MOST = 100  # of one contact, or in one part of a filter

#: What may stand between letters and digits; the second line is what other scripts write inside words.
_INSIDE = frozenset(" _.:/&'+-" + "\u00b7\u2019\u2010\u05be\u05f3\u05f4\u0f0b\u1361\u30fb")
#: Joins, or keeps apart, the letters of Persian, Indian and other scripts: shown by the shape of what is beside it.
_JOINERS = frozenset("\u200c\u200d")

REASON = n_("a tag has characters other than letters, digits and _ . : / & ' + -, or is too long")


@lru_cache(maxsize=1024)
def checked(text: str) -> str:
    """Return a tag, which begins and ends with a letter or digit, as it is kept. Raise ValueError with the reason."""
    tag = unicodedata.normalize("NFC", text)
    kinds = [unicodedata.category(character)[0] for character in tag]
    if not kinds or len(tag) > LONGEST or kinds[0] not in "LN" or not (kinds[-1] in "LMN" or tag[-1] == "_"):
        raise ValueError(REASON)
    for place, (character, kind) in enumerate(zip(tag, kinds, strict=True)):
        # Those that join stand between letters, so there is one before and one behind.
        joins = character in _JOINERS and kinds[place - 1] in "LM" and kinds[place + 1] in "LM"
        if kind not in "LMN" and character not in _INSIDE and not joins:
            raise ValueError(REASON)
    return tag
