import io
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from services.api import contact_file
from services.api.contact_file import Rejected, Row
from services.api.problems import InvalidFields


@given(st.binary())
def test_no_file_at_all_is_too_odd(raw: bytes) -> None:
    with suppress(InvalidFields):
        list(contact_file.read(io.BytesIO(b"phone,name,tags\n" + raw)))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_a_reason_never_holds_what_the_line_does(cells: list[str]) -> None:
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    reasons = [
        item.reason
        for item in contact_file.read(io.BytesIO(f"phone,name,tags\n{quoted}\n".encode()))
        if isinstance(item, Rejected)
    ]
    known = ("more cells", "no phone", "not a phone", "the name has", "a tag has")
    assert all(reason.startswith(known) for reason in reasons)


def test_a_line_is_told_by_where_it_begins() -> None:
    file = b'phone,name\n\n"x","a\nb"\n3135550001,"c\nd"\nx,e\n'
    assert list(contact_file.read(io.BytesIO(file))) == [
        Rejected(3, "not a phone number"),
        Row(5, "+13135550001", "c\nd", []),
        Rejected(7, "not a phone number"),
    ]
