"""Types of single values, shared by bodies, queries and the import of contacts."""

import re
from datetime import datetime
from typing import Annotated, TypeAlias

from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

from libs.common.domain import attributes, tags

BIGGEST = 2**63 - 1  # PostgreSQL's bigint
PAGE = 50
LARGEST_PAGE = 200

#: What of ASCII is in no tag; `libs/common/domain/tags.py` judges the rest, which no pattern can tell.
_NOT_IN_TAGS = r'\x00-\x1f!"#$%()*,;<=>?@\[\\\]^`{|}~\x7f'
TAG_PATTERN = rf"^[^{_NOT_IN_TAGS} _.:/&'+\-][^{_NOT_IN_TAGS}]*(?![\s\S])"
WALL_TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9](?![\s\S])"
SPAN_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9](?![\s\S])"
SERVICE_SID_PATTERN = r"^MG[0-9a-f]{32}(?![\s\S])"
NO_NUL = r"^[^\x00]*(?![\s\S])"
CURSOR_PATTERN = r"^[0-9]{1,18}(?![\s\S])"
#: The form of an address; what more there is to it, `email_addresses` says.
EMAIL_PATTERN = r"^[!-~]+@[!-?A-~]+\.[!-?A-~]+(?![\s\S])"
KEY_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*(?![\s\S])"
CHOSEN_ID_PATTERN = r"^([1-9][0-9]{0,17})?(?![\s\S])"
PLACE_PATTERN = r"^[0-3]\.-?[0-9]{1,18}\.-?[0-9]{1,18}(?![\s\S])"
PAIR_PATTERN = r"^[0-9]{1,18}\.[01](?![\s\S])"

NO_CURSOR = "is not one that a page of this list gave"

#: What a value that does not match must be, for people. Whatever has a pattern has its words here.
WORDS = {
    TAG_PATTERN: tags.REASON,
    attributes.NAME_PATTERN: attributes.BAD_NAME,
    WALL_TIME_PATTERN: "must be a time of day such as 14:30",
    SPAN_PATTERN: "must be two times of day such as 09:00-20:00",
    SERVICE_SID_PATTERN: "must be the SID of a Messaging Service: MG and 32 digits of 0 to 9 and a to f",
    NO_NUL: "must not hold the character NUL",
    EMAIL_PATTERN: "must be a whole e-mail address, such as ana@example.org",
    KEY_NAME_PATTERN: "must begin with a letter or a digit, and hold letters, digits, blanks, dots, dashes",
    CURSOR_PATTERN: NO_CURSOR,
    PAIR_PATTERN: NO_CURSOR,
    PLACE_PATTERN: NO_CURSOR,
    CHOSEN_ID_PATTERN: "must be an id, or empty",
}
_MATCHING = re.compile(r"^Expected `str` matching regex (?P<quoted>.*)$", re.DOTALL)

#: An id. msgspec checks no upper bound beyond 64 bits, so `check_ids` does.
Id: TypeAlias = Annotated[int, Meta(gt=0, extra_json_schema={"maximum": BIGGEST})]
#: A moment with its offset; what goes out is in UTC, unless its name says otherwise.
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
PhoneNumber: TypeAlias = Annotated[str, Meta(examples=["+13135550142"], description="E.164 in answers")]
Tag: TypeAlias = Annotated[str, Meta(min_length=1, max_length=tags.LONGEST, pattern=TAG_PATTERN, examples=["north"])]
#: The name of an attribute.
AttributeName: TypeAlias = Annotated[str, Meta(pattern=attributes.NAME_PATTERN, examples=["district"])]
#: Its value: a text, a number, yes or no, or a date as `2026-11-27`.
AttributeValue: TypeAlias = bool | int | float | str
TimeZone: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=attributes.LONGEST_ZONE, pattern=NO_NUL, examples=["America/Detroit"])
]
Language: TypeAlias = Annotated[
    str,
    Meta(min_length=2, max_length=attributes.LONGEST_LANGUAGE, pattern=NO_NUL, examples=["es"], description="BCP 47"),
]
#: A time of day on the organisation's clocks.
WallTime: TypeAlias = Annotated[str, Meta(pattern=WALL_TIME_PATTERN, examples=["14:30"])]
Name: TypeAlias = Annotated[str, Meta(max_length=200, pattern=NO_NUL)]

PathId: TypeAlias = Annotated[int, PathParameter(gt=0, le=BIGGEST)]
Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=LARGEST_PAGE)]
#: Where the last page ended, as `next_cursor` said.
Cursor: TypeAlias = Annotated[str | None, QueryParameter(pattern=CURSOR_PATTERN)]
PairCursor: TypeAlias = Annotated[str | None, QueryParameter(pattern=PAIR_PATTERN)]
#: An id from a form, which sends nothing where none is chosen.
ChosenId: TypeAlias = Annotated[str, QueryParameter(pattern=CHOSEN_ID_PATTERN)]
PlaceCursor: TypeAlias = Annotated[str | None, QueryParameter(pattern=PLACE_PATTERN)]
QueryTag: TypeAlias = Annotated[str | None, QueryParameter(max_length=tags.LONGEST, pattern=TAG_PATTERN)]
QueryText: TypeAlias = Annotated[str | None, QueryParameter(max_length=60, pattern=NO_NUL)]


def in_words(message: str) -> str:
    """Return what msgspec says about a value, with words in place of a regular expression."""
    match = _MATCHING.match(message)
    if match is None:
        return message
    return next(
        (words for pattern, words in WORDS.items() if repr(pattern) == match["quoted"]), "has a form that is not taken"
    )
