"""Structured logs and the metrics that all services share. They never hold a phone number, a name or a body."""

import logging
import os
import platform
import sys
from importlib.metadata import version
from typing import Any, Literal

import structlog
from prometheus_client import Counter, Histogram, Info

from libs.common.observability import redaction, tracing

#: The variable that says which release runs: the package's version is the same for every commit. The image has it.
RELEASE = "BROADSHEET_RELEASE"

MESSAGES = Counter("broadsheet_messages_total", "Answers of the carrier to messages, by outcome", ["outcome"])
STEPS = Counter("broadsheet_steps_total", "Commands and events handled, by type and result", ["type", "result"])
STEP_SECONDS = Histogram(
    "broadsheet_step_seconds",
    "Time to handle a command or event, by type",
    ["type"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
STEP_LATENESS = Histogram(
    "broadsheet_step_lateness_seconds",
    "How long after it was due a command or event was handled, by type; one that comes early is planned again",
    ["type"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
PUBLISHED = Counter("broadsheet_published_total", "Commands and events that the broker confirmed, by type", ["type"])
DEAD_LETTERS = Counter("broadsheet_dead_letters_total", "Commands and events put aside, by type", ["type"])
REEMITTED = Counter("broadsheet_reemitted_total", "Overdue steps that the watchdog emitted again, by type", ["type"])
CARRIER_SECONDS = Histogram(
    "broadsheet_carrier_request_seconds",
    "Time to a carrier's answer, by method (POST sends a message, GET reads) and HTTP status (none without an answer)",
    ["method", "status"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60),
)
PACE_USED = Counter(
    "broadsheet_pace_used_seconds_total",
    "Seconds of each allowance that started messages used, by the limit that gives it: its rate is the share in use",
    ["limit"],
)
EVENTS = Counter("broadsheet_events_total", "Events recorded, by type", ["type"])
OPT_OUTS = Counter("broadsheet_opt_outs_total", "Numbers that opted out, by who said so", ["source"])
WEBHOOKS = Counter("broadsheet_webhooks_total", "Webhooks, by which and what became of them", ["source", "result"])
NOTICES = Counter(
    "broadsheet_notices_total", "Notices to people outside the desk, by way and what became of them",
    ["channel", "outcome"],
)  # fmt: skip
LEDGER_MISMATCHES = Counter(
    "broadsheet_ledger_mismatches_total", "Times that a broadcast could not complete, its figures not adding up"
)
BUILD = Info("broadsheet_build", "The release that runs")


def _redact(_logger: object, _method: str, line: Any) -> str:
    return redaction.redact_numbers(line)


def _naming(service: str) -> structlog.typing.Processor:
    """Return a processor that adds the service's name to each entry, whichever task it comes from."""

    def name(_logger: object, _method: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"service": service, **entry}

    return name


def _trace_ids(_logger: object, _method: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Add the ids of the span under way, by which a collector finds it."""
    if (traceparent := tracing.current()) is not None:
        _, entry["trace_id"], entry["span_id"], _ = traceparent.split("-", 3)
    return entry


def configure(level: str, format_: Literal["console", "json"], service: str) -> None:
    """Send the logs of this process, and of the libraries in it, to stderr, one line an entry."""
    package = version("broadsheet")
    release = os.environ.get(RELEASE) or package
    BUILD.info({"version": package, "release": release, "python": platform.python_version()})
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _naming(service),
        _trace_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(redaction.format_traceback),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if format_ == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, _redact],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    quiet_libraries()


def quiet_libraries() -> None:
    """Have the libraries log no more than is worth a line."""
    # What these log at `info` is a line a request or a message. A message holds ids only; a URL may hold a number.
    for noisy in ("httpx", "httpcore", "uvicorn.access", "aio_pika", "faststream", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It logs the loss of a connection as an error with a traceback; we say so ourselves, and go on.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
