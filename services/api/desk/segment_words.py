"""Whom a group takes in, as a person says it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.catalogue import gettext as _
from libs.common.catalogue import ngettext
from libs.common.domain import segments
from libs.common.domain.attributes import Kind, Value, kind_of
from libs.common.domain.segments import (
    AllOf,
    AnyOf,
    Attribute,
    Did,
    Filter,
    InImport,
    InSegment,
    Not,
    Op,
    Since,
    Tag,
)
from libs.common.texts import gettext_noop as n_
from services.api.desk import times

#: What is said of an attribute and a value, by the comparison.
COMPARED = {
    Op.EQ: n_("%(name)s is %(value)s"),
    Op.NE: n_("%(name)s is not %(value)s"),
    Op.LT: n_("%(name)s is below %(value)s"),
    Op.LE: n_("%(name)s is at most %(value)s"),
    Op.GT: n_("%(name)s is above %(value)s"),
    Op.GE: n_("%(name)s is at least %(value)s"),
    Op.IN: n_("%(name)s is one of %(value)s"),
}
#: What somebody did since a moment.
SINCE = {
    Did.REPLIED: n_("replied since %(when)s"),
    Did.TEXTED: n_("got a text since %(when)s"),
    Did.JOINED: n_("came since %(when)s"),
}


def value(given: Value) -> str:
    """Return the value of an attribute for people."""
    if kind_of(given) is Kind.YES_NO:
        return _("yes") if given else _("no")
    return str(given)


@dataclass(frozen=True, slots=True)
class Words:
    """What is needed to say a filter: the names of the groups in it, and when now is, where."""

    names: Mapping[int, str]
    now: datetime
    zone: ZoneInfo

    def of(self, given: Mapping[str, Any]) -> str:
        """Return a filter, as it is kept, in words."""
        filter_ = segments.read(given)
        if isinstance(filter_, AllOf) and filter_.parts and not all(isinstance(part, Tag) for part in filter_.parts):
            return "; ".join(self._of(part) for part in filter_.parts)
        return self._of(filter_)

    def _of(self, filter_: Filter) -> str:
        match filter_:
            case AllOf(parts) | AnyOf(parts):
                return self._joined(filter_, parts)
            case Not(part):
                return _("but not: %(part)s") % {"part": self._of(part)}
            case Tag(tag):
                return _("the tag %(tag)s") % {"tag": tag}
            case Attribute():
                return _attribute(filter_)
            case Since():
                return self._since(filter_)
            case InSegment(segment_id):
                name = self.names.get(segment_id, str(segment_id))
                return _("in the group %(name)s") % {"name": name}
            case InImport(import_id):
                return _("in the file of import %(number)s") % {"number": import_id}

    def _joined(self, filter_: AllOf | AnyOf, parts: tuple[Filter, ...]) -> str:
        is_all = isinstance(filter_, AllOf)
        if not parts:
            return _("everybody")
        if len(parts) == 1:
            return self._of(parts[0])
        if all(isinstance(part, Tag) for part in parts):
            tags = {"tags": ", ".join(segments.tags_of(filter_))}
            return _("all of the tags %(tags)s") % tags if is_all else _("any of the tags %(tags)s") % tags
        said = {"parts": "; ".join(self._of(part) for part in parts)}
        return _("all of this: %(parts)s") % said if is_all else _("one of these: %(parts)s") % said

    def _since(self, asked: Since) -> str:
        if not isinstance(asked.since, timedelta):
            return _(SINCE[asked.did]) % {"when": times.short(asked.since, self.now, self.zone)}
        days = asked.since.days
        match asked.did:
            case Did.REPLIED:
                said = ngettext("replied in the last day", "replied in the last %(num)s days", days)
            case Did.TEXTED:
                said = ngettext("got a text in the last day", "got a text in the last %(num)s days", days)
            case Did.JOINED:
                said = ngettext("came in the last day", "came in the last %(num)s days", days)
        return said % {"num": days}


def _attribute(asked: Attribute) -> str:
    name = {"time_zone": _("time zone"), "language": _("language")}.get(asked.name, asked.name)
    if asked.op is Op.EXISTS:
        return (_("%(name)s is known") if asked.value else _("%(name)s is not known")) % {"name": name}
    values = asked.value if isinstance(asked.value, tuple) else (asked.value,)
    return _(COMPARED[asked.op]) % {"name": name, "value": ", ".join(map(value, values))}
