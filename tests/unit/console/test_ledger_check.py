"""The demo's verdict is computed: each fault that it is to find, it finds."""

from typing import Any

from libs.console.ledger_check import judge

BODIES = ("first", "second")


def planned(*states: str) -> list[dict[str, Any]]:
    return [{"phone_number": f"+{n}", "is_second": False, "state": state} for n, state in enumerate(states)]


def took(*numbers: int, body: str = "first", at: float = 100.0) -> list[dict[str, Any]]:
    return [{"to": f"+{n}", "body": body, "accepted_at": at} for n in numbers]


def ledger(messages: list[dict[str, Any]], inbound: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"messages": messages, "inbound": inbound or []}


def test_two_ledgers_that_agree_hold() -> None:
    verdict = judge(planned("accepted", "refused", "skipped"), BODIES, ledger(took(0)))
    assert (verdict.messages, verdict.holds) == (1, True)


def test_a_message_that_arrived_twice_is_found() -> None:
    assert judge(planned("accepted"), BODIES, ledger(took(0, 0))).twice == 1


def test_an_accepted_message_that_the_carrier_does_not_have_is_lost() -> None:
    assert judge(planned("accepted", "accepted"), BODIES, ledger(took(0))).lost == 1


def test_a_message_that_the_database_does_not_know_of_is_found() -> None:
    assert not judge(planned("accepted", "skipped"), BODIES, ledger(took(0, 1))).holds


def test_a_message_without_an_end_is_lost() -> None:
    assert judge(planned("accepted", "uncertain"), BODIES, ledger(took(0))).lost == 1


def test_a_message_that_did_not_arrive_byte_for_byte_is_found() -> None:
    assert not judge(planned("accepted"), BODIES, ledger(took(0, body="First"))).holds


def test_a_message_after_stop_is_found_and_one_under_way_forgiven() -> None:
    stop = [{"from": "+0", "body": " stop ", "acknowledged_at": 90.0}]
    assert judge(planned("accepted"), BODIES, ledger(took(0), stop)).after_stop == 1
    assert judge(planned("accepted"), BODIES, ledger(took(0, at=91.0), stop)).after_stop == 0


def test_a_broadcast_that_sent_nothing_does_not_hold() -> None:
    assert not judge(planned("skipped"), BODIES, ledger([])).holds
