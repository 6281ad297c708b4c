"""What a message costs: how it is encoded on its way to a phone, and in how many parts it leaves. Pure.

A part holds 140 octets (3GPP TS 23.040). A message that has only characters of GSM-7 (3GPP TS 23.038) takes 7 bits a
unit: 160 units in one part, or 153 in each of several, since each then begins with a header. One other character makes
the whole message UCS-2, of 16 bits a unit: 70 units in one part, or 67 in each of several. No character, and no emoji
that is joined of several, is cut by the end of a part. Carriers ask the price of a message for each part.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

#: The characters of GSM-7 that take one unit.
BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Those of its extension table, which take two.
EXTENSION = frozenset("\f^{}\\[~]|€")


class Encoding(StrEnum):
    """How a message is written on its way to a phone."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


#: Units in a part: where it is the only one, and where there are more.
ROOM = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}

_ZERO_WIDTH_JOINER = "\u200d"
#: Characters that are not in GSM-7, and what says the same in it.
REPLACEMENTS: dict[str, str] = {
    **dict.fromkeys("“”„‟«»″＂", '"'),
    **dict.fromkeys("‘’‚‛′´`ʼ＇", "'"),
    **dict.fromkeys("–—―‐‑‒−", "-"),
    "…": "...",
    "•": "-",
    "‹": "<",
    "›": ">",
    "⁄": "/",
    "\t": " ",
    # Spaces that do not break, or are narrower or wider than others.
    **dict.fromkeys(
        "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    ),
    **dict.fromkeys("\u2028\u2029", "\n"),
    # What shows nothing: it comes along when text is copied.
    **dict.fromkeys("\u00ad\u200b\u200e\u200f\u2060\ufeff", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Costly:
    """A character because of which a message is sent in UCS-2."""

    character: str
    #: How often it stands in the message.
    times: int
    #: What may stand in its place: text of GSM-7, often of one character; None where nothing says the same.
    replacement: str | None

    @property
    def name(self) -> str:
        """What Unicode calls it, in small letters."""
        return _name(self.character)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How long a message is for a carrier."""

    encoding: Encoding
    #: What is counted: 7 bits each in GSM-7, 16 in UCS-2.
    units: int
    parts: int
    #: The units that still fit into the last part.
    room: int
    #: Empty for GSM-7. In the order in which they come first.
    costly: tuple[Costly, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one part of a message costs."""

    amount: Decimal
    #: By ISO 4217: `USD`.
    currency: str


def names() -> list[str]:
    """Return what the characters are called that have a replacement."""
    return sorted({_name(character) for character in REPLACEMENTS})


def _name(character: str) -> str:
    return unicodedata.name(character, f"U+{ord(character):04X}").lower()


def measure(text: str) -> Measure:
    """Return how a text is sent."""
    costly = tuple(_costly(text))
    encoding = Encoding.UCS_2 if costly else Encoding.GSM_7
    sizes = list(_sizes(text, encoding))
    alone, each = ROOM[encoding]
    units = sum(sizes)
    if units <= alone:
        return Measure(encoding=encoding, units=units, parts=1, room=alone - units, costly=costly)
    parts, last = _packed(sizes, each)
    return Measure(encoding=encoding, units=units, parts=parts, room=each - last, costly=costly)


def parts_of(text: str) -> int:
    """Return in how many parts a text is sent."""
    is_ucs2 = any(character not in BASIC and character not in EXTENSION for character in text)
    encoding = Encoding.UCS_2 if is_ucs2 else Encoding.GSM_7
    alone, each = ROOM[encoding]
    sizes = list(_sizes(text, encoding))
    return 1 if sum(sizes) <= alone else _packed(sizes, each)[0]


def replaced(text: str, only: str | None = None) -> str:
    """Return a text with what says the same in GSM-7 in place of each character that has such a replacement.

    With `only`, in place of that character alone.
    """
    if only is not None:
        return text.replace(only, REPLACEMENTS.get(only, only))
    return "".join(REPLACEMENTS.get(character, character) for character in text)


def utf16_units(text: str) -> int:
    """Return how many units of UTF-16 a text has: carriers count so, an emoji is two or more."""
    return len(text) + sum(character > "\uffff" for character in text)


def cost(price: Price, parts: int, messages: int) -> Decimal:
    """Return what so many messages of so many parts cost."""
    return price.amount * parts * messages


def parse_price(text: str) -> Price | None:
    """Read `0.0083 USD`; None for an empty text. Raise ValueError."""
    if not text.strip():
        return None
    amount, _, currency = text.strip().partition(" ")
    currency = currency.strip()
    if not amount.replace(".", "", 1).isdigit() or not amount.isascii():
        raise ValueError("give the price of a part and its currency, such as 0.0083 USD")
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        raise ValueError("give the currency by its three letters, such as USD")
    return Price(amount=Decimal(amount), currency=currency)


def _costly(text: str) -> Iterator[Costly]:
    found: dict[str, int] = {}
    for character in text:
        if character not in BASIC and character not in EXTENSION:
            found[character] = found.get(character, 0) + 1
    for character, times in found.items():
        yield Costly(character=character, times=times, replacement=REPLACEMENTS.get(character))


def _sizes(text: str, encoding: Encoding) -> Iterator[int]:
    """Return the units of each piece that is not cut."""
    if encoding is Encoding.GSM_7:
        return (2 if character in EXTENSION else 1 for character in text)
    return (utf16_units(cluster) for cluster in _clusters(text))


def _packed(sizes: Iterable[int], room: int) -> tuple[int, int]:
    """Return how many parts pieces fill, and the units in the last."""
    parts, filled = 1, 0
    for size in sizes:
        # A piece that is longer than a part is cut all the same.
        if filled + size > room and filled:
            parts, filled = parts + 1, 0
        filled += size
        while filled > room:
            parts, filled = parts + 1, filled - room
    return parts, filled


def _clusters(text: str) -> Iterator[str]:
    """Return what people take for one character: with its accents, and emoji as they are joined (UAX 29, in short)."""
    cluster = ""
    for character in text:
        if cluster and _belongs(cluster, character):
            cluster += character
            continue
        if cluster:
            yield cluster
        cluster = character
    if cluster:
        yield cluster


def _belongs(cluster: str, character: str) -> bool:
    """Whether a character goes on with what is before it."""
    last = cluster[-1]
    if last in "\r\n\t" or character in "\r\n\t":
        return False
    if unicodedata.category(character) in ("Mn", "Me", "Mc") or character in "\u200c\u200d":
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff":  # the colours of skin
        return unicodedata.category(last) == "So"
    if "\U000e0020" <= character <= "\U000e007f":  # the letters within a flag of a region
        return True
    if "\U0001f1e6" <= character <= "\U0001f1ff":  # a flag is two letters
        return "\U0001f1e6" <= last <= "\U0001f1ff" and len(cluster) == 1
    return last == _ZERO_WIDTH_JOINER and unicodedata.category(character) == "So"
