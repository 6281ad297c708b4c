"""All that the desk says is in its catalogue, and `desk.pot` has it."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from unittest import mock

import pytest

from libs.common import catalogue
from services.api.desk import texts


@pytest.fixture(scope="module", autouse=True)
def _collected_once() -> Iterator[None]:
    """Have the texts collected once: that takes seconds."""
    made = texts.template()
    with mock.patch.object(texts, "template", side_effect=lambda: deepcopy(made)):
        yield


def test_the_template_of_the_catalogue_is_that_of_the_code() -> None:
    written = (catalogue.LOCALE / "desk.pot").read_text(encoding="utf-8")
    assert written == texts.as_file(texts.template()), "run `make texts`"


def test_the_template_has_what_pages_sentences_and_tables_say() -> None:
    made = texts.template()
    assert "Skip to the content" in made  # a page
    assert ("%(num)s person", "%(num)s people") in made  # of which there are several
    assert "Paused: %(why)s." in made  # a sentence
    assert "%(who)s stopped the repeating of %(what)s" in made  # a table of the desk
    assert "Landline: cannot get texts" in made  # a table that others share


def test_a_language_is_begun_and_brought_up_to_the_template(tmp_path: Path) -> None:
    texts.write(tmp_path, ["es"])
    path = catalogue.path("es", tmp_path)
    translated = path.read_text(encoding="utf-8").replace('msgid "Today"\nmsgstr ""', 'msgid "Today"\nmsgstr "Hoy"')
    path.write_text(f'{translated}\nmsgid "Gone"\nmsgstr "Ido"\n', encoding="utf-8")
    texts.write(tmp_path)
    found = catalogue.read("es", tmp_path)
    assert found["Today"].string == "Hoy"
    assert "Gone" not in found
    assert {message.id for message in found} == {message.id for message in texts.template()}
    assert path.read_text(encoding="utf-8") == texts.as_file(texts.brought_up("es", texts.template(), tmp_path))


def test_a_translation_with_another_placeholder_is_found(tmp_path: Path) -> None:
    texts.write(tmp_path, ["es"])
    path = catalogue.path("es", tmp_path)
    asked, answered = 'msgid "Paused: %(why)s."\nmsgstr ""', 'msgid "Paused: %(why)s."\nmsgstr "Pausado: %(porque)s."'
    path.write_text(path.read_text(encoding="utf-8").replace(asked, answered), encoding="utf-8")
    assert len(texts.faults("es", tmp_path)) == 1


@pytest.mark.parametrize("language", [catalogue.ENGLISH, *catalogue.translations()])
def test_every_language_is_current_and_without_faults(language: str) -> None:
    if language == catalogue.ENGLISH:
        assert not catalogue.path(language).exists()  # it stands in the code
        return
    written = catalogue.path(language).read_text(encoding="utf-8")
    assert written == texts.as_file(texts.brought_up(language, texts.template())), "run `make texts`"
    assert not texts.faults(language)
