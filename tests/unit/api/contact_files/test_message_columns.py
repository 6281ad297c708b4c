"""Files with the words that each person is to get: nothing goes out that nobody meant so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.contacts.files.outcome import Person, UnreadableFile
from tests.support.workbooks import xlsx
from tests.unit.api.contact_files.support import read, reasons

ANA, BO = "3135550001", "3135550002"


def test_each_has_their_own_words() -> None:
    people, summary = read(
        f'phone,message,follow-up,name\n{ANA},"Hi, Ana\r\n¿vienes? ",Still there?,Ana\n', messages=True
    )
    assert people == [Person("+13135550001", "Ana", (), message="Hi, Ana\n¿vienes?", follow_up="Still there?")]
    assert (summary.has_messages, summary.has_follow_ups, summary.passed_over) == (True, True, [])


def test_a_column_called_message_is_none_where_nobody_says_so() -> None:
    people, summary = read(f"phone,message\n{ANA},\n")
    assert people == [Person("+13135550001", "", ())]
    assert (summary.has_messages, summary.passed_over) == (False, ["message"])


@pytest.mark.parametrize("heading", ["Message", "Text", "SMS", "Body", "Mensaje", "Texte", "Message text"])
def test_headings_of_messages_are_understood(heading: str) -> None:
    assert read(f"phone,{heading}\n{ANA},Hi\n", messages=True)[0][0].message == "Hi"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("Hi {{ first_name }", "holds a variable like {{first_name}}: it would be sent as it stands here"),
        ("Hi {{ first_name }}", "holds a variable like {{first_name}}: it would be sent as it stands here"),
        ("Hi [First Name]", "holds a variable like [first name]: it would be sent as it stands here"),
        ("x" * 1601, "must have 1600 characters at most; an emoji counts as two or more"),
        ("🎉" * 801, "must have 1600 characters at most; an emoji counts as two or more"),
        ("=CMD|' /C calc'!A0", "begins with = as a formula does: people would get it as it stands"),
        ("#REF!", "is an error of the spreadsheet: the formula of the cell has no result"),
        ("\u200b", "must show something: there is nothing in it that people see"),
        ("a\x07b", "must not hold control characters other than line breaks and tabs"),
    ],
)
def test_words_that_would_not_go_out_as_meant_reject_their_line(cell: str, reason: str) -> None:
    file = f'phone,message\n{ANA},"{cell}"\n{BO},Hi\n'
    people, _ = read(file, messages=True)
    assert [person.message for person in people] == ["Hi"]
    assert reasons(file, messages=True) == [(2, f'the message under "message" {reason}')]


def test_where_there_are_follow_ups_everybody_needs_one() -> None:
    file = f"phone,message,follow up\n{ANA},Hi,\n{BO},Hi,Still?\n"
    assert reasons(file, messages=True) == [(2, 'the message under "follow up" is empty')]


def test_a_number_has_one_message_and_the_line_of_the_first_is_named() -> None:
    file = f"phone,message\n{ANA},first\n{BO},b\n(313) 555-0001,second\n+13135550001,first\n"
    people, summary = read(file, messages=True)
    assert [person.message for person in people] == ["first", "b"]
    reason = "the number has its message in line 2 already"
    assert [(each.line, each.reason) for each in summary.rejected] == [(4, reason), (5, reason)]


def test_a_no_is_heard_from_a_line_whose_message_cannot_be_taken() -> None:
    people, summary = read(f"phone,message,opted_out\n{ANA},first,\n{ANA},again,yes\n{BO},,yes\n", messages=True)
    assert [(each.phone_number[-1], each.opted_out, each.message) for each in people] == [
        ("1", True, "first"), ("2", True, ""),
    ]  # fmt: skip
    assert summary.rejected_count == 2


def test_a_message_is_no_word_about_consent() -> None:
    people, _ = read(f"phone,message\n{ANA},Unsubscribed\n", messages=True)
    assert [person.opted_out for person in people] == [False]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (f"phone,words of mine\n{ANA},Hi\n", "no column holds the message of each person: call it message"),
        (f"phone,message,text\n{ANA},a,b\n", "more than one column may hold the message"),
        (f'phone,message\n{ANA},"{"x" * 140_000}"\n', "line 2: a cell has more than 131,072 characters"),
        (f'phone,message\n{ANA},"{"x" * 50_000_000}"\n', "line 2: it has more than 1,000,000 characters"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(file: str, reason: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read(file, messages=True)
    assert caught.value.reason.startswith(reason)


def test_a_cell_of_a_workbook_may_be_no_longer() -> None:
    book = xlsx({"People": [["phone", "message"], [ANA, "x" * 2_000_000]]})
    with pytest.raises(UnreadableFile) as caught:
        read(book, messages=True)
    assert caught.value.reason == "line 2: a cell has more than 131,072 characters"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_reason_never_holds_the_words(words: str) -> None:
    quoted = words.replace('"', '""')
    for _, reason in reasons(f'phone,message\n{ANA},"{quoted}"\n', messages=True):
        assert reason.startswith(('the message under "message" ', "more cells"))
        assert len(words) < 20 or words not in reason
