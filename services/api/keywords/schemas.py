"""What the API takes and says of keywords by which people sign up."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from libs.common.domain import tags
from services.api.http.fields import NO_NUL, Moment
from services.api.schemas import Body, MessageBody

Word = Annotated[str, Meta(min_length=1, max_length=40, pattern=NO_NUL, examples=["NEWS"])]
Tag = Annotated[str, Meta(min_length=1, max_length=tags.LONGEST, pattern=NO_NUL)]


class NewKeyword(Body):
    """A keyword to be made."""

    #: One word of 2 to 20 letters and digits; none that means something already, as STOP, HELP or YES do.
    word: Word
    #: What whoever texts it is tagged with.
    tag: Tag
    #: What they get then. It names STOP.
    welcome: MessageBody
    #: What they are asked before that, if they are: it names YES, and nothing follows without one within a day.
    question: MessageBody | None = None


class KeywordChanges(Body):
    """What is to change about a keyword; what is left out stays."""

    word: Word | UnsetType = UNSET
    tag: Tag | UnsetType = UNSET
    welcome: MessageBody | UnsetType = UNSET
    question: MessageBody | UnsetType | None = UNSET


class Keyword(Struct):
    """A word that people text to get messages."""

    id: int
    #: As words are compared: small letters, without accents.
    word: str
    tag: str
    welcome: str
    #: Null where the word alone is enough.
    question: str | None
    created_at: Moment
