"""The desk's words in one catalogue (gettext). English is the source; another language is a `.po` file in `locale/`."""

import gettext as standard
from pathlib import Path

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "desk"

translations = standard.translation(DOMAIN, LOCALE, languages=["en"], fallback=True)

gettext = translations.gettext
ngettext = translations.ngettext
