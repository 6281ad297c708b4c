import unicodedata

import pytest

from libs.common.domain import tags


@pytest.mark.parametrize(
    "tag",
    ["বাংলা", "हिन्दी", "தமிழ்", "ไทย", "עברית", "العَرَبِيَّة", "中文", "ქართული", "မြန်မာ", "ខ្មែរ", "བོད་ཡིག", "አማርኛ",
     "می\u200cخواهم", "क्\u200dष", "señal", "west side", "48-212", "a_", "A/B & C", "l'eau", "ジョン・スミス", "²"],
)  # fmt: skip
def test_a_tag_may_be_of_any_script(tag: str) -> None:
    assert tags.checked(tag) == unicodedata.normalize("NFC", tag)


def test_composed_and_decomposed_are_one_tag() -> None:
    assert tags.checked("Cafe\u0301") == tags.checked("Caf\u00e9") == "Caf\u00e9"


@pytest.mark.parametrize(
    "tag",
    ["", " a", "a ", "_a", "-a", "a-", "a|b", "a,b", "a;b", "a\nb", "a\x00", "\u0301a", "a\u200b", "\u200da", "a\u200d",
     "a\u200d1", "a\u202eb", "👍", "a👍", "x" * 65, "<b>"],
)  # fmt: skip
def test_what_is_no_word_is_no_tag(tag: str) -> None:
    with pytest.raises(ValueError, match="a tag has characters other than"):
        tags.checked(tag)
