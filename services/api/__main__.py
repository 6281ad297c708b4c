"""`python -m services.api` runs the API until SIGTERM or SIGINT."""

import sys

import uvicorn

from libs.common import serving, telemetry, tracing
from libs.common.errors import SettingsError
from services.api.app import create_app
from services.api.context import Context

GRACEFUL_TIMEOUT = 20  # seconds for requests that are under way


def main() -> None:
    """Run the API. A bad setting ends it at once, with one line and exit status 2."""
    try:
        app = create_app()
    except SettingsError as error:
        print(f"api: {error}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        sys.exit(2)
    context: Context = app.state.context
    settings = context.settings
    telemetry.configure(settings.log_level, settings.log_format, "api")
    tracing.configure("api")
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACEFUL_TIMEOUT,
    )
    serving.serve(serving.Server(config, context.stopping))


main()
