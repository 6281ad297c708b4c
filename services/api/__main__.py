"""`python -m services.api` runs the API until SIGTERM or SIGINT: one process, or several behind one port."""

import sys

from libs.common.runtime import starting

with starting.imports():
    from libs.common.errors import SettingsError
    from libs.common.observability import telemetry, tracing
    from libs.common.runtime.server import Server, serve
    from libs.common.settings import load
    from libs.common.settings.api import ApiSettings
    from services.api import server, workers
    from services.api.app import create_app
    from services.api.context import Context


def main() -> None:
    """Run the API. A bad setting ends it at once, with one line and exit status 2."""
    try:
        settings = load(ApiSettings)
    except SettingsError as error:
        print(f"api: {error}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        sys.exit(2)
    telemetry.configure(settings.log_level, settings.log_format, "api")
    listening = workers.shared(settings)
    if settings.api_workers > 1 and listening is None:
        starting.spare_what_stays()
        workers.supervise(settings)
    app = create_app(settings)
    context: Context = app.state.context
    tracing.configure("api")
    serve(Server(server.config(app, settings), context.stopping, parent=workers.parent()), listening)


main()
