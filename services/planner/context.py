"""What the planner's handlers and background tasks work with."""

from dataclasses import dataclass

from libs.common.runtime.worker import Worker
from libs.common.settings.planner import PlannerSettings


@dataclass(slots=True, kw_only=True)
class Planner(Worker):
    """The planner's connections, and its settings: it knows the calendar."""

    settings: PlannerSettings
