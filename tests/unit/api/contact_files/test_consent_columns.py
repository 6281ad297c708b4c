"""A file that says who opted out is never read as if it did not."""

import time

import pytest

from services.api.contacts.files import consent_columns, headings
from services.api.contacts.files.consent_columns import Polarity
from services.api.contacts.files.outcome import Person
from tests.unit.api.contact_files.support import read, reasons


@pytest.mark.parametrize(
    "heading",
    ["opted_out", "Opted Out", "OPT-OUT", "optout", "SMS Opt-Out", "has opted out?", "opted_out_at", "Opt Out Date",
     "unsubscribed", "Unsubscribe", "unsubscribed_at", "do_not_text", "Do Not Text", "do not contact", "DoNotCall",
     "Don't text", "do_not_message", "DNC", "dnt", "suppressed", "blocked", "Blocklisted", "STOP", "no sms", "removed",
     "baja", "Fecha de baja", "dado de baja", "no contactar", "no molestar", "désabonné", "désinscrit",
     "ne pas contacter", "Refus SMS", "phone opt out", "Never text", "Not to be texted", "Exclude"],
)  # fmt: skip
def test_a_column_of_noes_is_known(heading: str) -> None:
    assert consent_columns.polarity(headings.plain(heading)) is Polarity.OUT
    people, _ = read(f"phone_number,name,{heading}\n3135550001,Ana,true\n3135550002,Bo,\n")
    assert [person.opted_out for person in people] == [True, False]


@pytest.mark.parametrize(
    "heading",
    ["subscribed", "Opted In", "opt-in", "SMS Opt In", "opt_in_date", "consent", "SMS consent", "Permission",
     "OK to text", "can_text", "may be texted", "suscrito", "inscrit", "abonné", "consentimiento", "acepta sms",
     "Subscription Status", "SMS Subscription Status", "Accepts SMS Marketing", "Accepts texts", "Wants texts",
     "receives SMS"],
)  # fmt: skip
def test_a_column_of_yeses_is_known(heading: str) -> None:
    assert consent_columns.polarity(headings.plain(heading)) is Polarity.IN
    people, summary = read(f"phone_number,{heading}\n3135550001,no\n3135550002,yes\n3135550003,\n")
    assert [person.opted_out for person in people] == [True, False]
    assert [each.line for each in summary.rejected] == [4]


@pytest.mark.parametrize(
    "heading",
    ["email_opt_out", "Unsubscribed from newsletter", "email", "Notes", "city", "block", "block group", "Bus stop",
     "adopting", "option", "nom de famille", "opt_in_source", "subscriber_id", "consent url", "Estado", "Voter status",
     "e-mail status", "postal code", "no"],
)  # fmt: skip
def test_a_column_of_something_else_is_passed_over_by_name(heading: str) -> None:
    assert consent_columns.polarity(headings.plain(heading)) is None
    people, summary = read(f"phone_number,{heading}\n3135550001,true\n")
    assert people == [Person("+13135550001", "", ())]
    assert summary.passed_over == [heading]


OUT = ["true", "TRUE", "t", "Yes", "y", "1", "1.0", "x", "X", "✓", "sí", "Oui", "2025-03-04", "2025-03-04T10:11:12Z",
       "3/4/2025", "03/04/25 10:11", "4.3.2025", "Mar 4, 2025", "4 mars 2025", "unsubscribed", "STOP", "Stop.",
       "opted-out", "Opted Out", "do not text", "Do Not Contact", "blocked", "baja", "désabonné"]  # fmt: skip
NOT_OUT = ["", " ", "false", "F", "No", "n", "0", "0.0", "NULL", "none", "N/A", "-", "never", "non", "subscribed",
           "active", "opted in", "0000-00-00 00:00:00"]  # fmt: skip
UNCLEAR = ["maybe", "2", "45231", "?", "see notes", "true false", "pending", "yes" * 50, "✗"]


@pytest.mark.parametrize("cell", OUT)
def test_a_yes_to_leaving_is_read(cell: str) -> None:
    assert consent_columns.is_no(cell, Polarity.OUT)


@pytest.mark.parametrize("cell", NOT_OUT)
def test_a_no_to_leaving_is_read(cell: str) -> None:
    assert not consent_columns.is_no(cell, Polarity.OUT)


@pytest.mark.parametrize("cell", UNCLEAR)
def test_what_is_neither_is_never_taken_for_a_no(cell: str) -> None:
    for column in Polarity:
        with pytest.raises(ValueError, match="neither"):
            consent_columns.is_no(cell, column)
    assert reasons(f'phone,opted_out\n3135550001,"{cell}"\n') == [
        (2, 'what is under "opted_out" can be read neither as a yes nor as a no')
    ]


@pytest.mark.parametrize(
    ("cell", "out"),
    [("no", True), ("FALSE", True), ("0", True), ("unsubscribed", True), ("STOP", True), ("opted out", True),
     ("yes", False), ("1", False), ("2025-03-04", False), ("subscribed", False), ("active", False), ("Sí", False)],
)  # fmt: skip
def test_a_column_of_yeses_means_the_inverse(cell: str, out: bool) -> None:
    assert consent_columns.is_no(cell, Polarity.IN) is out


@pytest.mark.parametrize(
    ("cell", "out"),
    [("unsubscribed", True), ("Opted out", True), ("STOP", True), ("Do not text", True), ("dado de baja", True),
     ("subscribed", False), ("Active", False), ("opted in", False), ("", False)],
)  # fmt: skip
def test_a_status_says_it_in_a_word(cell: str, out: bool) -> None:
    assert consent_columns.is_no(cell, Polarity.STATUS) is out


@pytest.mark.parametrize("heading", ["SMS marketing status", "Status (SMS)"])
def test_a_status_is_known_in_the_forms_that_other_systems_export(heading: str) -> None:
    assert consent_columns.polarity(headings.plain(heading)) is Polarity.STATUS


@pytest.mark.parametrize("heading", ["Account status", "Reader status", "state", "notes", "Lifecycle", "opted", "tags"])
@pytest.mark.parametrize("cell", ["Unsubscribed", "opted-out", "Do not text", "DADO DE BAJA"])
def test_a_plain_no_is_heard_whatever_its_column_is_called(heading: str, cell: str) -> None:
    people, summary = read(f"phone,{heading}\n3135550001,{cell}\n3135550002,tenant\n")
    assert [person.opted_out for person in people] == [True, False]
    assert summary.rejected == []


def test_a_no_to_e_mail_says_nothing_about_messages() -> None:
    people, _ = read("phone,E-mail status\n3135550001,unsubscribed\n")
    assert [person.opted_out for person in people] == [False]


def test_a_status_of_something_else_rejects_its_line() -> None:
    assert reasons("phone,status\n3135550001,tenant\n3135550002,true\n") == [
        (2, 'what is under "status" can be read neither as a yes nor as a no'),
        (3, 'what is under "status" can be read neither as a yes nor as a no'),
    ]


def test_one_column_that_says_no_is_enough() -> None:
    people, _ = read(
        "phone,opted_out,consent,status\n3135550001,no,no,active\n3135550002,no,?,stop\n3135550003,,yes,\n"
    )
    assert [person.opted_out for person in people] == [True, True, False]


def test_one_line_that_says_no_is_enough() -> None:
    people, _ = read("phone,opted_out\n3135550001,no\n3135550001,yes\n3135550001,no\n")
    assert people == [Person("+13135550001", "", (), opted_out=True)]


def test_a_no_is_heard_also_from_a_line_that_is_rejected() -> None:
    people, summary = read(
        "phone,name,tags,opted_out\n"
        "3135550001,Ana,a|b,yes\n"
        f"3135550002,{'x' * 201},,yes\n"
        "3135550003,Cy,,yes,too much\n"
        "+31612345678,Dee,,yes\n"
    )
    assert [(person.phone_number, person.opted_out) for person in people] == [
        ("+13135550001", True),
        ("+13135550002", True),
        ("+13135550003", True),
        ("+31612345678", True),
    ]
    assert [each.line for each in summary.rejected] == [2, 3, 4]


def test_what_nobody_would_write_is_judged_at_once() -> None:
    began = time.process_time()
    for odd in ("status" * 20_000, "opt" * 40_000, "1" * 100_000, "jan " * 30_000, "2025-01-01 " + "1" * 100_000):
        consent_columns.polarity(headings.plain(odd))
        for column in Polarity:
            try:
                consent_columns.is_no(odd, column)
            except ValueError:
                continue
    assert time.process_time() - began < 2
