"""Structured logs and the metrics that all services share. Neither ever holds a phone number, a name or a text."""

import logging
import sys
from typing import Literal

import structlog
from prometheus_client import Counter, Gauge, Histogram

from libs.common import tracing

TEXTS = Counter("broadsheet_texts_total", "Answers of the carrier to texts, by outcome", ["outcome"])
STEPS = Counter("broadsheet_steps_total", "Messages handled, by type and result", ["type", "result"])
STEP_SECONDS = Histogram("broadsheet_step_seconds", "Time to handle a message, by type", ["type"])
STEP_LATENESS = Histogram(
    "broadsheet_step_lateness_seconds",
    "How long after it was due a message was handled, by type",
    ["type"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
OUTBOX_DUE = Gauge("broadsheet_outbox_due", "Messages that are due and not yet published")
OUTBOX_LAG = Gauge("broadsheet_outbox_lag_seconds", "Age of the oldest message that is due and not yet published")
PUBLISHED = Counter("broadsheet_published_total", "Messages that the broker has confirmed, by type", ["type"])
DEAD_LETTERS = Counter("broadsheet_dead_letters_total", "Messages put aside, by type", ["type"])
REEMITTED = Counter("broadsheet_reemitted_total", "Overdue steps that the watchdog emitted again, by type", ["type"])
CARRIER_SECONDS = Histogram(
    "broadsheet_carrier_request_seconds",
    "Time to get a carrier's answer, by method (POST sends a text, GET reads) and HTTP status (none without an answer)",
    ["method", "status"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60),
)
UNCERTAIN = Gauge("broadsheet_uncertain_texts", "Texts whose fate only the carrier's log can tell")
HELD = Gauge("broadsheet_carrier_held_seconds", "How long nothing may start because the carrier said so or fails")


def _trace_ids(_logger: object, _method: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Add the ids of the span under way, by which a collector finds it."""
    if (traceparent := tracing.current()) is not None:
        _, entry["trace_id"], entry["span_id"], _ = traceparent.split("-", 3)
    return entry


def configure(level: str, format_: Literal["console", "json"], service: str) -> None:
    """Send the logs of this process, and of the libraries in it, to stderr, one line an entry."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _trace_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
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
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # What these log at `info` is a line a request or a message; the messages themselves hold ids only, URLs do not.
    for noisy in ("httpx", "httpcore", "uvicorn.access", "aio_pika", "faststream", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It tells the loss of a connection as an error with a traceback; we say so ourselves, and go on.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(service=service)
