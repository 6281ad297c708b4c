"""How the API is served: one process, or several behind one port."""

import uvicorn
from litestar import Litestar

from libs.common.settings.api import ApiSettings

GRACEFUL_TIMEOUT = 20  # seconds for requests that are under way


def config(app: Litestar, settings: ApiSettings) -> uvicorn.Config:
    """Return how uvicorn is to serve the app."""
    return uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        lifespan="on",
        loop="auto",  # uvloop, where there is one
        http="httptools",
        proxy_headers=True,
        forwarded_allow_ips=list(settings.proxies),
        timeout_graceful_shutdown=GRACEFUL_TIMEOUT,
    )
