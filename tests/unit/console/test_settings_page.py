"""docs/settings.md says what the code does, of every setting that there is."""

import re
from pathlib import Path

import pytest

from libs.common.settings import PREFIX
from libs.console import settings_page
from libs.console.settings_page import CONTAINERS, PAGE, Entry, default, entries, form, page, unit

ROOT = Path(__file__).parents[3]
COMPOSE = [*ROOT.glob("docker-compose*.yml"), ROOT / "deploy" / "docker-compose.monitoring.yml"]


def test_the_page_is_what_the_code_makes() -> None:
    assert PAGE.read_text() == page(), "run `make settings`"


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_setting_says_what_it_does_and_what_a_number_counts(entry: Entry) -> None:
    assert entry.words, f"{entry.name}: give it a docstring"
    assert all(words.endswith(".") for words in entry.words)
    if form(entry.known).startswith(("number", "whole number")) and not entry.name.endswith("_port"):
        assert unit(entry.known), f"{entry.name}: say what it counts (Annotated[…, SECONDS])"
    assert default(entry.known)


def test_what_compose_reads_is_on_the_page_with_its_default() -> None:
    read: dict[str, set[str]] = {}
    for path in COMPOSE:
        for name, value in re.findall(r"(?<!\$)\$\{((?!OTEL_)[A-Z_]+)(?::-([^}]*))?[:}]", path.read_text()):
            read.setdefault(name, set()).add(value)
    told = {name: value for name, value, _ in CONTAINERS}
    assert read.keys() - {f"{PREFIX}RELEASE"} <= told.keys()
    assert told.keys() <= read.keys()
    for name, values in read.items():
        for value in values - {""}:
            assert value.strip("./") in told[name], name


def test_a_form_says_the_limits() -> None:
    known = {entry.name: entry.known for entry in entries()}
    assert form(known["send_rate"]) == "number, above 0 up to 1,000"
    assert form(known["delays"]) == "one of `auto`, `plugin`, `ladder`"
    assert (form(known["api_keys"]), form(known["public_url"])) == ("secrets, comma-separated", "URL")
    assert (default(known["database_url"]), default(known["lease"])) == ("needed", "`15`")


def test_a_page_of_old_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings_page, "PAGE", tmp_path / "settings.md")
    assert settings_page.main(["--write"]) == 0
    assert (tmp_path / "settings.md").read_text() == page()
    assert settings_page.main(["--other"]) == 2
