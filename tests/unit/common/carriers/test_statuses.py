"""How far a message got."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.carriers.statuses import RANKS, advances, normal, rank

STATUS = st.sampled_from(sorted(RANKS)) | st.text()


@pytest.mark.parametrize(
    ("old", "new"),
    list(itertools.pairwise(["teleported", "accepted", "queued", "sending", "sent", "delivered"])),
)
def test_a_message_moves_on(old: str, new: str) -> None:
    assert advances(old, new)


@pytest.mark.parametrize("final", ["delivered", "undelivered", "failed", "canceled", "read"])
def test_a_late_report_does_not_overwrite_a_final_status(final: str) -> None:
    assert not advances(final, "sent")


@pytest.mark.parametrize("status", ["accepted", "scheduled", "queued", "sending", "sent", "partially_delivered", "odd"])
@pytest.mark.parametrize("final", ["delivered", "undelivered", "failed", "canceled"])
def test_any_other_gives_way_to_a_final_status(status: str, final: str) -> None:
    assert advances(status, final)


def test_the_first_of_two_final_statuses_stays() -> None:
    assert not advances("delivered", "undelivered")


def test_a_delivered_message_may_still_be_read() -> None:
    assert advances("delivered", "read")


@given(new=STATUS)
def test_anything_is_news_where_nothing_was_known(new: str) -> None:
    assert advances(None, new)


@given(status=STATUS)
def test_no_status_overwrites_itself(status: str) -> None:
    assert not advances(status, status)


@given(reports=st.lists(STATUS, min_size=1))
def test_whatever_the_order_of_the_reports_the_furthest_rank_is_kept(reports: list[str]) -> None:
    kept: str | None = None
    for report in reports:
        kept = report if advances(kept, report) else kept
    assert kept is not None
    assert rank(kept) == max(map(rank, reports))


def test_capitals_do_not_matter() -> None:
    assert not advances("Delivered", "sent")


@pytest.mark.parametrize("written", ["Delivered", "DELIVERED", " delivered "])
def test_a_status_is_the_same_in_any_case(written: str) -> None:
    assert normal(written) == "delivered"
    assert rank(written) == RANKS["delivered"]
