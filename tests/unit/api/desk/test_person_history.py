"""What was done to a person, as sentences."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.api.audit.queries import Entry
from services.api.desk import person_history

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def said(type_: str, actor: str = "user:7", name: str | None = "Ana Diaz", **data: Any) -> list[str]:
    entry = Entry(position=1, occurred_at=NOW, actor=actor, actor_name=name, subject="contact-5", type=type_, data=data)
    return [line.words for line in person_history.lines([entry])]


@pytest.mark.parametrize(
    ("fields", "words"),
    [(["name"], "the name"), (["tags"], "the tags"), (["tags", "name"], "name and tags")],
)
def test_a_change_names_what_was_changed_and_who_changed_it(fields: list[str], words: str) -> None:
    assert said("ContactChanged", fields=fields) == [f"Ana Diaz changed {words}."]


def test_a_decision_about_a_reply_says_which() -> None:
    assert said("OptOutReviewed", opted_out=True) == ["Ana Diaz decided that a reply of theirs was an opt-out."]
    assert said("OptOutReviewed", opted_out=False) == ["Ana Diaz decided that a reply of theirs was no opt-out."]


def test_what_broadsheet_and_the_carriers_did_is_told_as_well() -> None:
    assert said("NumberUnreachable", "service:planner", None) == [
        "Broadsheet left their number out: it takes no texts."
    ]
    assert said("OptedOut", "carrier:twilio", None) == ["Twilio (carrier) noted that they want no more texts."]


def test_what_a_reader_need_not_know_is_left_out() -> None:
    assert said("SomethingElse") == []
