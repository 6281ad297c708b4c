"""Who did what, as it is read."""

from datetime import UTC, datetime

import pytest

from libs.common.domain.actors import ActorKind
from libs.common.domain.events.registers import REGISTER_EVENTS
from services.api.audit.queries import Entry
from services.api.desk import audit


def entry(actor: str = "user:1", subject: str = "user-1", type_: str = "UserChanged", name: str | None = None) -> Entry:
    return Entry(
        position=1,
        occurred_at=datetime(2026, 3, 4, tzinfo=UTC),
        actor=actor,
        actor_name=name,
        subject=subject,
        type=type_,
        data={},
    )


@pytest.mark.parametrize(
    ("subject", "what", "address"),
    [
        ("broadcast-12", "broadcast 12", "/desk/broadcasts/12"),
        ("broadcast-12-messages", "broadcast 12", "/desk/broadcasts/12"),
        ("contact-5", "person 5", "/desk/people/5"),
        ("user-1", "Ana Diaz", ""),
        ("user-7", "user 7", ""),
        ("key-2", "website", ""),
        ("contacts", "a file of people", ""),
        ("something-else", "something-else", ""),
    ],
)
def test_what_it_was_done_to_has_its_name_and_leads_to_its_page(subject: str, what: str, address: str) -> None:
    said = audit.line(entry(subject=subject), {1: "Ana Diaz"}, {2: "website"})
    assert (said.what, said.address) == (what, address)


@pytest.mark.parametrize("kind", ActorKind)
def test_whoever_did_it_is_named(kind: ActorKind) -> None:
    said = audit.line(entry(actor=f"{kind}:7"), {}, {})
    assert ("7" in said.who) == (kind is not ActorKind.SERVICE)
    assert audit.line(entry(actor=f"{kind}:7", name="Ana Diaz"), {}, {}).who == "Ana Diaz"


def test_everything_that_is_done_to_registers_has_its_words() -> None:
    assert {event.__name__ for event in REGISTER_EVENTS} <= audit.DONE.keys()
