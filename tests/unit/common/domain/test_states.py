"""The words of states and reasons: what the API lists by hand is what the schema allows."""

from typing import get_args, get_type_hints

from libs.common.domain.keywords import WISHES
from services.api.replies.schemas import Reply


def test_the_api_shows_each_wish_that_is_stored() -> None:
    shown = {word for each in get_args(get_type_hints(Reply)["wish"]) for word in get_args(each)}
    assert shown == {str(wish) for wish in WISHES}
