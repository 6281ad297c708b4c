"""When messages may leave by the clocks of whom they go to: through changes of the clocks, and around the world."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.domain import quiet_hours, regional_hours
from libs.common.domain.quiet_hours import Place, Rules, Standing, parse
from libs.common.domain.states import Late

NIGHT = (time(21), time(8))
DETROIT = "America/Detroit"
RULES = Rules(NIGHT, DETROIT)
#: Those with changes of the clocks and without, at whole, half and quarter hours, on both sides of the date line.
ZONES = (
    DETROIT, "America/New_York", "America/Phoenix", "America/Denver", "America/Los_Angeles", "America/Anchorage",
    "America/Adak", "Pacific/Honolulu", "America/St_Johns", "America/Sao_Paulo", "Europe/London", "Asia/Kolkata",
    "Asia/Kathmandu", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham",
    "Pacific/Apia", "Pacific/Pago_Pago", "Pacific/Kiritimati", "UTC",
)  # fmt: skip

#: Hours of 2025 to 2027, and the hours around each change of the clocks in them.
anytime = st.builds(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes), st.integers(0, 1_500_000)
)
changes = st.sampled_from(
    [
        datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC),  # eastern America
        datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC),  # Europe
        datetime(2026, 4, 4, 16, 30, tzinfo=UTC), datetime(2026, 10, 3, 16, 30, tzinfo=UTC),  # Adelaide
        datetime(2026, 4, 4, 14, tzinfo=UTC), datetime(2026, 9, 26, 14, tzinfo=UTC),  # New Zealand and Chatham
        datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # Lord Howe
    ]
)  # fmt: skip
near_changes = st.builds(lambda at, minutes: at + timedelta(minutes=minutes), changes, st.integers(-1600, 1600))
moments = st.one_of(anytime, near_changes)
walls = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 30, 45)))
quiets = st.one_of(st.just(NIGHT), st.tuples(walls, walls).filter(lambda span: span[0] != span[1]))
places = st.builds(
    Place,
    st.lists(st.sampled_from(ZONES), max_size=3, unique=True).map(tuple),
    st.sampled_from(("", "US", *sorted(set(regional_hours.rules()) - {"US"}))),
)


def by_the_wall(place: Place, rules: Rules, at: datetime) -> bool:
    """Whether a moment is allowed, worked out afresh from what each clock shows."""
    assert rules.quiet is not None
    start, end = rules.quiet
    for zone in place.zones:
        local = at.astimezone(ZoneInfo(zone))
        minute = (local.hour, local.minute, local.second, local.microsecond)
        first, last = ((each.hour, each.minute, 0, 0) for each in (start, end))
        if (first <= minute < last) if first < last else (minute >= first or minute < last):
            return False
        for rule in regional_hours.of(place.region) if rules.regional else ():
            hours = rule.on(local.date())
            if hours is None or not hours[0] <= local.time().replace(fold=0) < hours[1]:
                return False
    return True


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def opens(text: str, place: Place, rules: Rules = RULES) -> datetime:
    return quiet_hours.window(place, rules, at(text)).opens


def shown(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%a %d %b %H:%M")


@given(places.filter(lambda place: place.zones), quiets, moments)
@example(Place(("America/Detroit",)), (time(1, 30), time(1)), at("2026-11-01T05:45"))
@example(Place(("America/Detroit",)), (time(21), time(2, 30)), at("2026-03-08T06:59"))
def test_no_moment_is_allowed_that_is_quiet_on_any_clock(place: Place, quiet: tuple[time, time], now: datetime) -> None:
    rules = Rules(quiet, DETROIT)
    found = quiet_hours.window(place, rules, now)
    if found.is_open(now):
        here = place if by_the_wall(place, rules, now) else Place((DETROIT,), place.region)
        assert by_the_wall(here, rules, now)
        # The organisation's clocks stand in only where the place's own have no hour in common.
        assert here == place or not _ever(place, rules, now)


@given(places.filter(lambda place: place.zones), quiets, moments)
@example(Place(("Pacific/Chatham",)), NIGHT, at("2026-04-04T14:00"))
@example(Place(("Pacific/Apia", "Pacific/Pago_Pago")), NIGHT, at("2026-06-01T12:00"))
def test_a_window_opens_as_soon_as_it_may_and_closes_when_it_must(
    place: Place, quiet: tuple[time, time], now: datetime
) -> None:
    rules = Rules(quiet, DETROIT)
    if not _ever(place, rules, now):
        return
    found = quiet_hours.window(place, rules, now)
    assert found.closes > now
    assert found.opens < found.closes
    begins = max(found.opens, now)
    for moment in _between(begins, found.closes):
        assert by_the_wall(place, rules, moment), moment
    for moment in _between(now, begins):
        assert not by_the_wall(place, rules, moment), moment
    if found.closes - now < timedelta(days=2):
        assert not by_the_wall(place, rules, found.closes)


@given(places, quiets, moments, moments, st.sampled_from(Late))
def test_only_what_may_leave_now_is_open(
    place: Place, quiet: tuple[time, time], now: datetime, made_at: datetime, late: Late
) -> None:
    rules = Rules(quiet, DETROIT)
    found = quiet_hours.outlook(place, rules, now, made_at=made_at, late=late)
    assert (found.standing is Standing.OPEN) is quiet_hours.is_allowed(place, rules, now)
    assert found.standing is Standing.OPEN or found.window.opens > now
    assert late is Late.SKIP or found.standing is not Standing.TOO_LATE


def _ever(place: Place, rules: Rules, now: datetime) -> bool:
    """Whether any moment of the next days is allowed: on any clock here each time begins with a quarter of an hour."""
    whole = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    steps = range((quiet_hours.HORIZON - 1) * 24 * 4)
    return not place.zones or any(by_the_wall(place, rules, whole + timedelta(minutes=15 * each)) for each in steps)


def _between(begin: datetime, end: datetime) -> list[datetime]:
    """Return the first and the last moment of a time, and every quarter of an hour in it."""
    if begin >= end:
        return []
    found = [begin, end - timedelta(microseconds=1)]
    step = begin.replace(minute=begin.minute // 15 * 15, second=0, microsecond=0) + timedelta(minutes=15)
    while step < end:
        found.append(step)
        step += timedelta(minutes=15)
    return found


def test_where_the_clocks_go_forward_the_morning_comes_an_hour_sooner() -> None:
    eve = opens("2026-03-08T02:00", Place((DETROIT,)))
    assert eve == at("2026-03-08T12:00")
    assert eve - opens("2026-03-07T02:00", Place((DETROIT,))) == timedelta(hours=23)


def test_where_the_clocks_go_back_the_night_is_an_hour_longer() -> None:
    found = quiet_hours.window(Place((DETROIT,)), RULES, at("2026-10-31T20:00"))
    night = quiet_hours.window(Place((DETROIT,)), RULES, found.closes)
    assert night.opens - found.closes == timedelta(hours=12)


def test_arizona_keeps_its_clocks_and_the_navajo_nation_does_not() -> None:
    summer, phoenix, navajo = "2026-07-01T03:30", Place(("America/Phoenix",)), Place(("America/Denver",))
    assert quiet_hours.is_allowed(phoenix, RULES, at(summer))
    assert not quiet_hours.is_allowed(navajo, RULES, at(summer))
    winter = "2026-12-01T03:30"
    assert [quiet_hours.is_allowed(each, RULES, at(winter)) for each in (phoenix, navajo)] == [True, True]
    # A number that may be in either waits for the later of both.
    both = Place(("America/Denver", "America/Phoenix"))
    assert opens("2026-07-01T14:00", both) == at("2026-07-01T15:00")


@pytest.mark.parametrize(
    ("zone", "opens_at"),
    [
        ("Asia/Kolkata", "2026-06-02T02:30"),
        ("Australia/Adelaide", "2026-06-01T22:30"),
        ("Pacific/Chatham", "2026-06-01T19:15"),
    ],
)
def test_half_hours_and_quarters_count(zone: str, opens_at: str) -> None:
    assert opens("2026-06-01T17:00", Place((zone,))) == at(opens_at)


def test_across_the_date_line_the_same_hour_is_another_day() -> None:
    apia, pago = Place(("Pacific/Apia",)), Place(("Pacific/Pago_Pago",))
    # Thirteen hours ahead of UTC, and eleven behind: the same clock, a day apart.
    assert shown(opens("2026-06-01T12:00", apia), "Pacific/Apia") == "Tue 02 Jun 08:00"
    assert shown(opens("2026-06-01T12:00", pago), "Pacific/Pago_Pago") == "Mon 01 Jun 08:00"
    assert opens("2026-06-01T12:00", apia) == opens("2026-06-01T12:00", pago)
    # A Sunday without texts in Louisiana's rule is over in Apia while it goes on in Pago Pago.
    sunday = [opens("2026-06-07T17:00", Place(each.zones, "US-LA")) for each in (apia, pago)]
    assert [shown(each, zone) for each, zone in zip(sunday, ("Pacific/Apia", "Pacific/Pago_Pago"), strict=True)] == [
        "Mon 08 Jun 08:00", "Mon 08 Jun 08:00",
    ]  # fmt: skip
    assert sunday[1] - sunday[0] == timedelta(days=1)


def test_a_day_that_an_island_left_out_has_no_hours() -> None:
    # Samoa had no 30 December 2011.
    found = quiet_hours.window(Place(("Pacific/Apia",)), RULES, at("2011-12-30T08:00"))
    assert shown(found.opens, "Pacific/Apia") == "Sat 31 Dec 08:00"


def test_who_may_be_in_several_zones_is_texted_when_all_allow_it() -> None:
    idaho = Place(("America/Boise", "America/Los_Angeles"), "US")
    found = quiet_hours.window(idaho, RULES, at("2026-06-01T12:00"))
    assert shown(found.opens, "America/Los_Angeles") == "Mon 01 Jun 08:00"
    assert shown(found.closes, "America/Boise") == "Mon 01 Jun 21:00"


def test_zones_without_a_common_hour_say_nothing_and_the_organisation_s_holds() -> None:
    anywhere = Place(("Pacific/Guam", "America/St_Johns", "Pacific/Honolulu", "Europe/London"))
    assert quiet_hours.window(anywhere, RULES, at("2026-06-01T03:00")) == quiet_hours.window(
        Place((DETROIT,)), RULES, at("2026-06-01T03:00")
    )


def test_nobody_is_texted_where_the_law_and_the_organisation_leave_no_hour() -> None:
    nights = Rules((time(6), time(22)), DETROIT)
    florida = Place(("America/New_York",), "US-FL")
    now = at("2026-06-01T03:00")
    assert not quiet_hours.is_allowed(florida, nights, now)
    assert quiet_hours.outlook(florida, nights, now, made_at=now, late=Late.WAIT).standing is Standing.GIVEN_UP
    assert quiet_hours.is_allowed(florida, Rules(nights.quiet, DETROIT, regional=False), now)


def test_without_quiet_hours_everything_may_leave_at_any_time() -> None:
    assert quiet_hours.is_allowed(Place(("Asia/Tokyo",), "US-RI"), Rules(None, DETROIT), at("2026-06-07T18:00"))


def test_florida_s_evening_comes_an_hour_sooner_unless_regional_rules_are_off() -> None:
    florida, now = Place(("America/New_York",), "US-FL"), at("2026-06-01T20:30", "America/New_York")
    assert not quiet_hours.is_allowed(florida, RULES, now)
    assert quiet_hours.is_allowed(florida, Rules(NIGHT, DETROIT, regional=False), now)


@pytest.mark.parametrize(
    ("region", "now", "opens_at"),
    [
        ("US-LA", "2026-06-06T20:00", "Mon 08 Jun 08:00"),  # Saturday evening: no Sunday
        ("US-MS", "2026-06-07T12:00", "Mon 08 Jun 08:00"),
        ("US-LA", "2026-12-25T12:00", "Sat 26 Dec 08:00"),
        ("US-RI", "2026-07-03T12:00", "Mon 06 Jul 09:00"),  # Independence Day is a Saturday: no Friday, either
        ("US-RI", "2026-06-06T18:00", "Mon 08 Jun 09:00"),
    ],
)
def test_some_days_are_quiet_in_some_regions(region: str, now: str, opens_at: str) -> None:
    place = Place(("America/New_York",), region)
    found = quiet_hours.window(place, RULES, at(now, "America/New_York"))
    assert shown(found.opens, "America/New_York") == opens_at


def outlook(now: str, late: Late = Late.WAIT, *, made: str = "2026-06-02T10:00", place: str = DETROIT) -> Standing:
    return quiet_hours.outlook(parse(place), RULES, at(now, DETROIT), made_at=at(made, DETROIT), late=late).standing


def test_what_comes_too_late_waits_for_the_morning_or_is_skipped() -> None:
    assert outlook("2026-06-02T20:59:49") is Standing.OPEN
    # A request takes a moment.
    assert outlook("2026-06-02T20:59:50") is Standing.WAITS
    assert outlook("2026-06-02T21:00") is Standing.WAITS
    assert outlook("2026-06-02T21:00", Late.SKIP) is Standing.TOO_LATE


def test_who_sleeps_still_has_the_day_ahead_and_is_not_too_late() -> None:
    assert outlook("2026-06-02T10:00", Late.SKIP, place="Pacific/Honolulu US") is Standing.WAITS


def test_it_waits_for_one_morning_and_not_for_the_next() -> None:
    assert outlook("2026-06-03T21:00") is Standing.GIVEN_UP


def test_it_waits_over_a_sunday_that_is_quiet() -> None:
    assert outlook("2026-06-06T20:00", made="2026-06-06T10:00", place=f"{DETROIT} US-LA") is Standing.WAITS
    assert outlook("2026-06-08T20:00", made="2026-06-06T10:00", place=f"{DETROIT} US-LA") is Standing.GIVEN_UP


@given(places)
def test_a_place_is_read_as_it_is_written(place: Place) -> None:
    assert parse(str(place)) == place


def test_each_rule_of_a_region_names_its_law_its_source_and_when_it_was_read() -> None:
    known = regional_hours.rules()
    assert {"US", "US-FL", "US-WA", "US-RI"} <= set(known)
    for region, rule in known.items():
        assert rule.law, region
        assert rule.source.startswith("http"), region
        assert date(2026, 1, 1) <= rule.read, region
        for hours in (rule.weekdays, rule.saturday, rule.sunday, rule.holidays):
            assert hours is None or hours[0] < hours[1], region
        if region != "US":
            assert regional_hours.of(region) == (known["US"], rule)
            usual = known["US"].weekdays
            assert usual is not None
            # It is there because it is stricter than the country's.
            own = (rule.weekdays, rule.saturday, rule.sunday, rule.holidays)
            assert any(hours is None or hours[0] > usual[0] or hours[1] < usual[1] for hours in own), region
