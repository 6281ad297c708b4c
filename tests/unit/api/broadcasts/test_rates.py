"""How sure a share is, held against published values."""

import pytest

from services.api.broadcasts.rates import Rate, difference
from services.api.desk import response_words


@pytest.mark.parametrize(
    ("replied", "delivered", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_interval_of_a_share_is_wilsons(replied: int, delivered: int, low: float, high: float) -> None:
    assert Rate(replied, delivered).interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10.
        (Rate(56, 70), Rate(48, 80), 0.0524, 0.3339),
        (Rate(9, 10), Rate(3, 10), 0.1705, 0.8090),
        (Rate(5, 56), Rate(0, 29), -0.0381, 0.1926),
    ],
)
def test_two_shares_differ_by_newcombes_interval(one: Rate, other: Rate, low: float, high: float) -> None:
    assert difference(one, other) == pytest.approx((low, high), abs=5e-5)
    assert difference(other, one) == pytest.approx((-high, -low), abs=5e-5)


def test_a_share_is_said_with_how_sure_it_is() -> None:
    assert response_words.between(Rate(81, 263)) == "between 26 and 37"
    assert response_words.between(Rate(3, 10_000)) == "between 0 and 0.1"
    assert response_words.between(Rate(5, 19)) == "too few to tell"


def test_a_difference_that_may_be_chance_is_called_so() -> None:
    more = "The first was answered more often: between 5 and 33 more of 100. That is hardly chance."
    assert response_words.compared(Rate(56, 70), Rate(48, 80)) == more
    assert "less often: between 5 and 33 fewer" in response_words.compared(Rate(48, 80), Rate(56, 70))
    assert "may be chance" in response_words.compared(Rate(5, 56), Rate(0, 29))
    assert "Too few people" in response_words.compared(Rate(9, 10), Rate(300, 1000))
