"""The catalogue: what is said in which language."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages import Catalog

from libs.common import catalogue, phone_numbers
from libs.common.broadcasts import explanations
from libs.common.errors import SettingsError
from services.api.desk import numbers, rendering, sentences, texts, times

WEDNESDAY = datetime(2026, 12, 2, 13, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    catalogue.speak(catalogue.ENGLISH)


@pytest.fixture
def spanish(tmp_path: Path) -> Path:
    """A folder with a catalogue of a few Spanish texts."""
    made = Catalog(locale="es", fuzzy=False)
    made.add("Held", "Detenido")
    made.add("Today", "Hoy")
    made.add("tomorrow %(clock)s", "mañana a las %(clock)s")
    made.add("EEE d MMM", "EEE d 'de' MMM")
    made.add("its day went by", "su día pasó")
    made.add(("%(num)s person", "%(num)s people"), ("%(num)s persona", "%(num)s de personas", "%(num)s personas"))
    made.add(
        "a number of another country: %(country)s; allowed: %(allowed)s",
        "un número de otro país: %(country)s; se permite: %(allowed)s",
        auto_comments=[catalogue.FILLED],
    )
    path = catalogue.path("es", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(texts.as_file(made), encoding="utf-8")
    return tmp_path


def test_a_language_is_spoken_by_pages_sentences_times_and_numbers(spanish: Path) -> None:
    catalogue.speak("es", spanish)
    page = rendering.environment().from_string(
        '{{ _("Today") }}: {{ ngettext("%(num)s person", "%(num)s people", 2) }}'
    )
    assert page.render() == "Hoy: 2 personas"
    assert sentences.missed_reason("day_over") == "su día pasó"
    zone = ZoneInfo("UTC")
    assert times.short(WEDNESDAY, WEDNESDAY.replace(day=1), zone) == "mañana a las 13:30"
    assert times.day(WEDNESDAY, WEDNESDAY, zone) == "mié 2 de dic"
    assert times.duration(180) == "3 minutos"
    assert numbers.figure(1234.5) == "1.234,5"
    assert catalogue.language() == "es"


def test_what_a_language_lacks_is_said_in_english(spanish: Path) -> None:
    catalogue.speak("es", spanish)
    assert catalogue.gettext("Waiting for replies.") == "Waiting for replies."
    assert catalogue.gettext("") == ""


def test_tables_are_looked_up_when_they_are_shown(spanish: Path) -> None:
    """A table that is filled when its module is imported would speak the language of that moment for ever."""
    catalogue.speak("es", spanish)
    assert catalogue.gettext(sentences.HELD[1]) == "Detenido"
    assert explanations.missed_reason("day_over") == "its day went by"


def test_what_came_filled_from_another_module_is_said_with_what_fills_it(spanish: Path) -> None:
    with pytest.raises(ValueError, match="another country") as refused:
        phone_numbers.textable("+41 44 668 18 00", ["US"])
    catalogue.speak("es", spanish)
    assert catalogue.said(str(refused.value)) == "un número de otro país: Switzerland (CH); se permite: US"
    assert catalogue.said("its day went by") == "su día pasó"
    assert catalogue.said("what no catalogue has") == "what no catalogue has"


def test_english_needs_no_file(tmp_path: Path) -> None:
    catalogue.speak("en", tmp_path)
    assert catalogue.gettext("Today") == "Today"
    assert (catalogue.language(), catalogue.formats()) == ("en", "en_GB")


def test_a_language_without_a_catalogue_is_refused_by_name(spanish: Path) -> None:
    with pytest.raises(SettingsError, match=r"BROADSHEET_LANGUAGE: fr, and there is only en, es"):
        catalogue.speak("fr", spanish)
