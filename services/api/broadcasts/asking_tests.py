"""Asking for test messages, in a transaction that is given: the HTTP API and the pages do the same.

They are messages to one person (`single_messages.py`): no draw, ledger or report knows of them. Each begins with
`MARK`, so that the carrier's log never shows one as a broadcast's, not even where a restore has lost its row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from sqlalchemy import text

from libs.common import phone_numbers
from libs.common.broadcasts import file_words, personal_words, single_messages
from libs.common.broadcasts.single_messages import Draft
from libs.common.broadcasts.suppression import held, opted_out
from libs.common.database import Connection, all_rows
from libs.common.domain import message_bodies
from libs.common.domain.message_bodies import LONGEST
from libs.common.domain.states import SinglePurpose
from libs.common.domain.templates import parse
from libs.common.domain.wall_clock import quiet_until
from libs.common.settings.api import ApiSettings
from libs.common.texts import filled
from libs.common.texts import gettext_noop as n_
from services.api.broadcasts import wishes
from services.api.http.errors import InvalidFields, TooManyTests

MARK = "Test: "
MOST = 5  # numbers that one request may name
MOST_A_MINUTE = 20  # messages, whoever asks
A_MINUTE = timedelta(minutes=1)

#: Lets one caller at a time ask for tests, so that the limit holds for all together.
ALONE = text("SELECT pg_advisory_xact_lock(hashtext('broadsheet.tests'))")

#: How many were asked for lately, whoever asked.
LATELY = text(f"SELECT count(*) FROM single_messages WHERE purpose = '{SinglePurpose.TEST}' AND asked_at > :since")

#: What speaks against each of some numbers; `staff` is whose number a user has given as their own.
NUMBERS = text(f"""
SELECT n.number, {opted_out("n.number")} AS is_out, {held("n.number")} AS is_held,
       EXISTS (SELECT FROM users u WHERE u.phone_number = n.number AND u.disabled_at IS NULL) AS is_staff
FROM unnest(CAST(:numbers AS text[])) WITH ORDINALITY AS n (number, place) ORDER BY n.place
""")


@dataclass(frozen=True, slots=True)
class _Named:
    """A number that somebody has named, and what speaks against it."""

    number: str
    is_out: bool
    is_held: bool
    is_staff: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is to be tried: the words of a broadcast, saved or not."""

    first: str
    #: None for no follow-up.
    second: str | None
    from_number: str
    #: The broadcast that has them; None where they were not saved.
    broadcast_id: int | None = None
    #: The file that has words for each person, if there is one.
    file: int | None = None


async def ask(
    connection: Connection, words: Words, numbers: Sequence[str], request_id: UUID, settings: ApiSettings, now: datetime
) -> list[int]:
    """Have the messages sent to some numbers and return their ids; asked for again, they are the same ones.

    Raise InvalidFields, TooManyTests.

    In the quiet hours they go to numbers that users have given as their own, and to no others.
    """
    given = _in_e164(numbers, settings)
    bodies = await _bodies(connection, words, given)
    await connection.execute(ALONE)
    lately = int((await connection.execute(LATELY, {"since": now - A_MINUTE})).scalar_one())
    if lately + len(bodies) * len(given) > MOST_A_MINUTE:
        raise TooManyTests
    is_quiet = quiet_until(now, settings.quiet, settings.zone) is not None
    named = all_rows(await connection.execute(NUMBERS, {"numbers": given}), _Named)
    faults = [(f"to[{place}]", why) for place, each in enumerate(named) if (why := _fault(each, is_quiet=is_quiet))]
    if faults:
        raise InvalidFields(*faults)
    sending_number_id = await wishes.number_id(connection, words.from_number)
    drafts = [
        Draft(
            purpose=SinglePurpose.TEST,
            # The same request names the same messages, however often it comes.
            request_id=uuid5(request_id, f"{number} {is_second}"),
            phone_number=number,
            body=own.get(number, example),
            sending_number_id=sending_number_id,
            broadcast_id=words.broadcast_id,
        )
        for number in given
        for is_second, example, own in bodies
    ]
    return [await single_messages.ask(connection, draft, now) for draft in drafts]


def _in_e164(numbers: Sequence[str], settings: ApiSettings) -> list[str]:
    """Return numbers that texts may go to, each once. Raise InvalidFields."""
    found: list[str] = []
    faults = []
    for place, number in enumerate(numbers):
        try:
            textable = phone_numbers.textable(number, settings.regions)
        except ValueError as error:
            faults.append((f"to[{place}]", filled("is %(what)s", what=error)))
            continue
        if textable in settings.own_numbers:
            faults.append((f"to[{place}]", n_("is one of our own numbers")))
        elif textable not in found:
            found.append(textable)
    if not numbers:
        faults.append(("to", n_("must be given")))
    elif len(numbers) > MOST:
        faults.append(("to", filled("may be %(most)s at most", most=MOST)))
    if faults:
        raise InvalidFields(*faults)
    return found


async def _bodies(
    connection: Connection, words: Words, numbers: Sequence[str]
) -> list[tuple[bool, str, dict[str, str]]]:
    """Return what goes out, each with whether it is the second message, and as numbers who are known get it.

    Whoever is not known, or lacks a value, gets the defaults, and the names of variables that have none; of a file of
    messages what the first person in it gets. Raise InvalidFields.
    """
    bodies = []
    for field, is_second, body in (("first_message", False, words.first), ("second_message", True, words.second)):
        if body is None:
            continue
        try:
            template = parse(message_bodies.checked_template(body))
            example = message_bodies.checked(MARK + template.example)
        except ValueError as error:
            raise InvalidFields((field, str(error))) from error
        own: dict[str, str] = {}
        if template.is_personal:
            first = await file_words.first_number(connection, words.file) if words.file is not None else None
            those = [*numbers, *([first] if first else [])]
            own = await personal_words.render_for(connection, template, those, words.file)
            if first in own:
                example = (MARK + own[first])[:LONGEST]
        bodies.append((is_second, example, {number: (MARK + text)[:LONGEST] for number, text in own.items()}))
    return bodies


def _fault(named: _Named, *, is_quiet: bool) -> str:
    if named.is_out:
        return n_("has opted out")
    if named.is_held:
        return n_("may have opted out, and nobody has looked at their reply yet")
    if is_quiet and not named.is_staff:
        return n_("is no user's own number, and these are the quiet hours")
    return ""
