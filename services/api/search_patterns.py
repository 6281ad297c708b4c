"""What somebody searches for, as patterns for `LIKE`. Pure."""

import unicodedata

SHORTEST_NUMBER = 4  # digits that are looked for in numbers


def of_words(search: str) -> str:
    """Return the pattern of texts that have what is searched for somewhere."""
    composed = unicodedata.normalize("NFC", search).strip()
    return "%" + composed.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def of_digits(search: str) -> str:
    """Return the pattern of what is searched for in numbers; empty where it is not a part of one."""
    digits = "".join(each for each in search if each.isascii() and each.isdigit())
    is_part = len(digits) >= SHORTEST_NUMBER and not any(each.isalpha() for each in search)
    return f"%{digits}%" if is_part else ""
