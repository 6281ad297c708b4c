"""Text in every encoding that spreadsheets write, with every separator."""

import pytest

from services.api.contacts.files import encodings, opening
from services.api.contacts.files.outcome import Person, UnreadableFile
from tests.unit.api.contact_files.support import read

#: `phone;name` and `3135550001;José`, byte by byte.
GOLDEN = {
    "UTF-8": b"phone;name\r\n3135550001;Jos\xc3\xa9\r\n",
    "UTF-8 with a mark": b"\xef\xbb\xbfphone;name\r\n3135550001;Jos\xc3\xa9\r\n",
    "UTF-16LE": (
        b"\xff\xfep\0h\0o\0n\0e\0;\0n\0a\0m\0e\0\r\0\n\0"
        b"3\x001\x003\x005\x005\x005\x000\x000\x000\x001\0;\0J\0o\0s\0\xe9\0"
    ),
    "UTF-16BE": (
        b"\xfe\xff\0p\0h\0o\0n\0e\0;\0n\0a\0m\0e\0\r\0\n"
        b"\x003\x001\x003\x005\x005\x005\x000\x000\x000\x001\0;\0J\0o\0s\0\xe9"
    ),
    "Latin-1": b"phone;name\r\n3135550001;Jos\xe9\r\n",
}


@pytest.mark.parametrize("raw", GOLDEN.values(), ids=GOLDEN)
def test_the_same_words_come_out_of_every_encoding(raw: bytes) -> None:
    assert read(raw)[0] == [Person("+13135550001", "José", ())]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("codec", "told"),
    [
        ("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"), ("utf-32", "UTF-32"), ("cp1252", "Windows-1252"), ("latin-1", "Windows-1252"),
    ],
)  # fmt: skip
def test_the_answer_tells_the_encoding_in_which_a_file_was_read(codec: str, told: str, separator: str) -> None:
    for head in ("", f"sep={separator}\r\n"):
        text = f"{head}phone{separator}name\r\n3135550001{separator}Zoé\r\n3135550002{separator}Bo\r\n"
        people, summary = read(text.encode(codec))
        assert ([each.name for each in people], summary.encoding) == (["Zoé", "Bo"], told)


def test_what_only_windows_1252_has_is_read_too() -> None:
    assert read(b"phone,name\n3135550001,\x93Z\x9e\x94 \x80\n")[0][0].name == "“Zž” €"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("phone,name\n1,José\n".encode() + b"2,Jos\xe9\n", "line 3 is not UTF-8, and other lines are"),
        (b"phone,name\n1,Jos\xe9\n2,Jos\x8d\n", "line 3 is neither UTF-8 nor Windows-1252"),
        ("phone\n3135550001\n".encode("utf-16")[:-1], "it is not UTF-16 to its end"),
        ("phone\n3135550001\n".encode("utf-16-le") + b"\x00\xd8", "it is not UTF-16LE to its end"),
    ],
)
def test_letters_are_never_guessed(raw: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        read(raw)


def test_a_letter_is_one_where_what_is_looked_at_at_once_ends_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "CHUNK", 1)
    assert read("phone,name\n3135550001,José\n")[1].encoding == "UTF-8"
    assert read("phone,name\n3135550001,José\n".encode("cp1252"))[1].encoding == "Windows-1252"


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "cp1252"])
def test_the_first_lines_are_read_of_a_file_that_goes_on(codec: str) -> None:
    raw = ("phone,name\n" + '3135550001,"José\nof Detroit"\n' * 20).encode(codec)
    for length in range(len("phone,name\n3".encode(codec)) + 8, len(raw) - 1):
        lines = list(opening.first(raw[:length], 3, is_whole=False).lines)
        assert lines[0] == (1, ["phone", "name"])
        assert all(cells == ["3135550001", "José\nof Detroit"] for _, cells in lines[1:])
    assert len(list(opening.first(raw, 3, is_whole=True).lines)) == 4
