"""What comes of reading a file: people, lines that cannot be taken, or a file that cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.domain.attributes import Kind, Value


class UnreadableFile(Exception):
    """A file is none that can be read, or does not say what is needed."""

    def __init__(self, field_name: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field_name
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as one line or several describe them."""

    phone_number: str
    name: str
    tags: tuple[str, ...]
    #: The file says that they want nothing.
    opted_out: bool = False
    attributes: Mapping[str, Value] = field(default_factory=dict)
    #: Of the IANA database; empty where the file does not say.
    time_zone: str = ""
    #: BCP 47; empty where the file does not say.
    language: str = ""
    #: The words that they are to get, where the file has them; empty where it has none.
    message: str = ""
    follow_up: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that cannot be taken, and why. The reason never holds what is in the line."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that cannot be taken, with the cell of its phone number: for the file of all such lines alone."""

    line: Rejected
    given: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What was read of a file."""

    #: Distinct numbers.
    people: int = 0
    #: The first of the lines that cannot be taken, and how many there are.
    rejected: list[Rejected] = field(default_factory=list)
    rejected_count: int = 0
    #: Headings of the columns that were not read.
    passed_over: list[str] = field(default_factory=list)
    #: In which encoding a text was read; empty of a workbook.
    encoding: str = ""
    #: Which sheet of a workbook was read, and which were not; empty of a text.
    sheet: str = ""
    other_sheets: list[str] = field(default_factory=list)
    #: Free attributes that columns became, and of which kind their values are.
    attributes: dict[str, Kind] = field(default_factory=dict)
    #: Whether it has the words that each person is to get, and those of a follow-up.
    has_messages: bool = False
    has_follow_ups: bool = False
