"""Pages from templates: what every page needs is put in here, once."""

from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Template
from litestar.template import TemplateConfig

from libs.common import catalogue
from libs.common.texts import gettext_noop as n_
from services.api.context import Context
from services.api.desk import assets, browsers, numbers, reply_filters, sentences, times
from services.api.http import framing

FOLDER = Path(__file__).parent / "templates"

#: What a page is allowed to do (CSP Level 3): our own script and style, and nothing that stands in the page itself. Who
#: may frame it comes last.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors "
)
#: The top bar: where it leads, what it says, its sign.
SECTIONS = (
    ("today", "/desk", n_("Today")),
    ("broadcasts", "/desk/broadcasts", n_("Broadcasts")),
    ("replies", "/desk/replies", n_("Replies")),
    ("people", "/desk/people", n_("People")),
    ("settings", "/desk/settings", n_("Settings")),
)


def environment() -> Environment:
    """Return the templates' environment: everything is escaped, and a name that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(catalogue.gettext, catalogue.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(asset=assets.address, sections=SECTIONS, said=catalogue.said)
    made.filters.update(
        reply_kind=reply_filters.kind_name,
        browser=browsers.named,
        count=numbers.count,
        figure=numbers.figure,
        percent=numbers.percent,
        hundredths=numbers.hundredths,
        duration=times.duration,
        day_name=times.day_name,
        missed_reason=sentences.missed_reason,
    )
    return made


def configuration() -> TemplateConfig[JinjaTemplateEngine]:
    """Return Litestar's configuration of the templates."""
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment()))


def page(request: Request[Any, Any, Any], api: Context, template: str, *, status: int = 200, **values: Any) -> Template:
    """Return a page. `values` are what its template names; all else that a page shows is put in here."""
    return Template(
        template,
        context=_given(request, api, values),
        status_code=status,
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY + _framers(request, api),
            "Cache-Control": "no-store",
            "Vary": "HX-Request",
        },
    )


def _framers(request: Request[Any, Any, Any], api: Context) -> str:
    """Return who may show a page in a frame, as the policy has it."""
    if framing.may_be_framed(request.url.path):
        return " ".join(api.settings.frame_ancestors) or "'none'"
    return "'none'"


def part(request: Request[Any, Any, Any], api: Context, template: str, **values: Any) -> str:
    """Return a part of a page, as `page` would have it."""
    engine = request.app.template_engine
    assert engine is not None
    return str(engine.get_template(template).render(**_given(request, api, values), request=request))


def _given(request: Request[Any, Any, Any], api: Context, values: dict[str, Any]) -> dict[str, Any]:
    now = api.clock()

    def spoken(moment: datetime) -> times.SpokenTime:
        return times.spoken(moment, now, api.settings.zone)

    def wall_clock(moment: datetime) -> str:
        return times.wall_clock(moment, api.settings.zone)

    def to_the_second(moment: datetime) -> str:
        return times.to_the_second(moment, now, api.settings.zone)

    def overdue(run_at: datetime) -> str:
        return sentences.overdue(run_at, now, api.settings.zone)

    return {
        "organisation": api.settings.organisation,
        "now": now,
        "overdue": overdue,
        "spoken": spoken,
        "to_the_second": to_the_second,
        "wall_clock": wall_clock,
        "zone": api.settings.timezone,
        "language": catalogue.language(),
        "user": request.scope.get("user"),
        "section": "",
        **values,
    }
