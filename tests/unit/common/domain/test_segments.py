"""The language of filters: what is read, and where each mistake is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.domain import segments
from libs.common.domain.segments import AllOf, AnyOf, Attribute, Did, InvalidFilter, Not, Op, Since, Tag


def nested(depth: int) -> Any:
    found: Any = "north"
    for _ in range(depth):
        found = {"not": found}
    return found


def test_a_filter_is_read_and_written_again() -> None:
    given = {
        "all": [
            {"any": ["north", {"tag": "south"}]},
            {"not": {"attribute": "city", "in": ["Flint", 5, True, "2026-01-31"]}},
            {"attribute": "age", "ge": 18.0},
            {"attribute": "language", "eq": "ES-mx"},
            {"attribute": "time_zone", "exists": False},
            {"replied_since": "30 days"},
            {"texted_since": "1 day"},
            {"joined_since": "2026-01-31T10:00:00+00:00"},
            {"segment": 7},
            {"import": 8},
        ]
    }
    found = segments.read(given)
    assert found == AllOf((
        AnyOf((Tag("north"), Tag("south"))),
        Not(Attribute("city", Op.IN, ("Flint", 5, True, "2026-01-31"))),
        Attribute("age", Op.GE, 18),
        Attribute("language", Op.EQ, "es-MX"),
        Attribute("time_zone", Op.EXISTS, False),
        Since(Did.REPLIED, timedelta(days=30)),
        Since(Did.TEXTED, timedelta(days=1)),
        Since(Did.JOINED, datetime(2026, 1, 31, 10, tzinfo=UTC)),
        segments.InSegment(7),
        segments.InImport(8),
    ))  # fmt: skip
    assert segments.read(segments.dump(found)) == found


@pytest.mark.parametrize(
    ("given", "pointer", "reason"),
    [
        (5, "", "must be a condition"),
        ([], "", "must be a condition"),
        (None, "", "must be a condition"),
        ({}, "", "is empty"),
        ({"sql": "1"}, "/sql", "not known here"),
        ({"a/b~c": "1"}, "/a~1b~0c", "not known here"),
        ({"tag": "a", "not": "b"}, "", "put several conditions"),
        ({"any": [], "all": [], "none": []}, "", "put several conditions"),
        ({"any": []}, "/any", "must hold a condition"),
        ({"any": "a"}, "/any", "must be a list"),
        ({"all": {"tag": "a"}}, "/all", "must be a list"),
        ({"any": ["a", "b", {"attribute": "X", "eq": 1}]}, "/any/2/attribute", "name of an attribute"),
        ({"any": ["a", {"not": {"all": ["b", {"tag": 5}]}}]}, "/any/1/not/all/1/tag", "must be a tag"),
        ({"tag": "a;b"}, "/tag", "a tag has characters"),
        ({"tag": "a", "eq": 5}, "/eq", "not known here"),
        ({"attribute": 5, "eq": 5}, "/attribute", "must be the name"),
        ({"attribute": "tags", "eq": "a"}, "/attribute", "field of its own"),
        ({"attribute": "age"}, "", "needs one comparison"),
        ({"attribute": "age", "ge": 1, "le": 5}, "", "needs one comparison"),
        ({"attribute": "age", "like": "5%"}, "/like", "not known here"),
        ({"attribute": "age", "ge": "old"}, "/ge", "only numbers and dates"),
        ({"attribute": "age", "ge": True}, "/ge", "only numbers and dates"),
        ({"attribute": "age", "ge": None}, "/ge", "must be a text"),
        ({"attribute": "age", "ge": 10**16}, "/ge", "a number is beyond"),
        ({"attribute": "since", "lt": "2026-02-30"}, "/lt", "no calendar"),
        ({"attribute": "city", "eq": ""}, "/eq", "is empty"),
        ({"attribute": "city", "in": []}, "/in", "1 to 100"),
        ({"attribute": "city", "in": ["a"] * 101}, "/in", "1 to 100"),
        ({"attribute": "city", "in": ["a", {}]}, "/in/1", "must be a text"),
        ({"attribute": "city", "exists": 1}, "/exists", "true or false"),
        ({"attribute": "language", "eq": "SP"}, "/eq", "no language"),
        ({"attribute": "language", "eq": 5}, "/eq", "must be a text"),
        ({"attribute": "language", "gt": "es"}, "/gt", "only numbers and dates"),
        ({"attribute": "time_zone", "eq": "Detroit"}, "/eq", "no time zone"),
        ({"replied_since": 30}, "/replied_since", "number of days"),
        ({"replied_since": "30"}, "/replied_since", "number of days"),
        ({"replied_since": "0 days"}, "/replied_since", "number of days"),
        ({"texted_since": "9999 days"}, "/texted_since", "3650 days at most"),
        ({"joined_since": "2026-01-31"}, "/joined_since", "number of days"),
        ({"joined_since": "2026-01-31T10:00:00"}, "/joined_since", "with its offset"),
        ({"joined_since": "0001-01-01T00:00:00+14:00"}, "/joined_since", "with its offset"),
        ({"segment": "7"}, "/segment", "must be an id"),
        ({"segment": True}, "/segment", "must be an id"),
        ({"segment": 0}, "/segment", "must be an id"),
        ({"import": 2**63}, "/import", "must be an id"),
        (nested(1000), "/not" * 20, "more than 20 deep"),
        ({"all": ["a"] * 1000}, "/all/199", "more than 200 conditions"),
    ],
)
def test_a_mistake_is_named_with_its_place(given: Any, pointer: str, reason: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        segments.read(given)
    assert caught.value.mistakes[0][0] == pointer
    assert reason in caught.value.mistakes[0][1]


def test_all_mistakes_are_named_but_not_more_than_twenty() -> None:
    with pytest.raises(InvalidFilter) as caught:
        segments.read({"any": [{"tag": number} for number in range(50)]})
    assert [pointer for pointer, _ in caught.value.mistakes] == [f"/any/{number}/tag" for number in range(20)]


def test_a_segment_stands_for_its_filter() -> None:
    others = {1: segments.read({"any": ["a", {"segment": 2}]}), 2: segments.read("b")}
    found = segments.resolve(segments.read({"not": {"segment": 1}}), others)
    assert segments.dump(found) == {"not": {"any": [{"tag": "a"}, {"tag": "b"}]}}


def test_segments_in_a_circle_are_refused_where_the_circle_is_entered() -> None:
    others = {1: segments.read({"segment": 2}), 2: segments.read({"any": ["a", {"segment": 1}]})}
    with pytest.raises(InvalidFilter) as caught:
        segments.resolve(segments.read({"all": ["x", {"segment": 2}]}), others, 1)
    assert caught.value.mistakes == (("/all/1/segment", "the segment would be in itself"),)


def test_segments_that_double_each_time_are_too_much_and_are_told_at_once() -> None:
    others = {n: segments.read({"any": [{"segment": n + 1}, {"segment": n + 1}]}) for n in range(1, 50)}
    others[50] = segments.read("a")
    with pytest.raises(InvalidFilter, match="too many conditions"):
        segments.resolve(segments.read({"segment": 1}), others)
