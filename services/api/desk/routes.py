"""The desk: pages for people, under `/desk`. What they do is what the HTTP API does; only the answers differ."""

from litestar import Router

from services.api.desk import (
    broadcasts,
    compose,
    failures,
    history,
    people,
    people_import,
    replies,
    segments,
    settings,
    sidebar,
    sign_in,
    stop,
    today,
)

ROUTER = Router(
    "/desk",
    route_handlers=[
        today.show,
        stop.ROUTER,
        sidebar.ROUTER,
        sign_in.ROUTER,
        broadcasts.ROUTER,
        compose.ROUTER,
        history.ROUTER,
        replies.ROUTER,
        people_import.ROUTER,
        people.ROUTER,
        segments.ROUTER,
        settings.ROUTER,
    ],
    exception_handlers=failures.HANDLERS,
)
