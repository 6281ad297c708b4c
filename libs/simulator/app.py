"""Missive's and Twilio's HTTP APIs on this machine, with a handset behind every number.

`python -m libs.simulator [--host 127.0.0.1] [--port 8090] [--config file.json] [--seed 7]`

Clients use the same base URL for both carriers: `MISSIVE_URL = TWILIO_URL = http://127.0.0.1:8090`. All state is in
memory; what a number does is a function of the plan's seed and the number, ids are functions of the seed and the order
of messages. Configuration comes from the defaults, then the file, then the environment (`SIMULATOR_` and the key in
capitals; what is not a string is JSON: `SIMULATOR_PLAN='{"reply": 0.5}'`), then `PUT /_simulator/config`.

Configuration (all optional; `plan`, `limits` and `clocks` merge key by key, `numbers` is replaced as a whole):

    {"missive_token": "",                   empty: any token is let in
     "missive_webhook_url": "", "missive_webhook_secret": "",
     "missive_rule_type": "incoming_sms_message", "missive_preview": 100,
     "missive_labels": {},                  shared labels: {"id": "name"}
     "twilio_account_sid": "AC00000000000000000000000000000000",
     "twilio_auth_token": "",               empty: anyone is let in, as any account; it signs the webhooks, too
     "twilio_api_key": "", "twilio_api_key_secret": "",      let in as well; they sign nothing
     "twilio_sms_webhook_url": "", "twilio_status_callback_url": "",
     "from_numbers": [],                    numbers of the account; empty: any
     "messaging_services": {},              Twilio's, by SID, each with its numbers: {"MG…": ["+1…"]}
     "equal_by_design": [],                 bodies that one number may get twice
     "webhook_attempts": 5, "webhook_backoff": 0.5, "webhook_timeout": 15.0,
     "limits": {"concurrent": 5, "windows": [[300, 60.0], [900, 900.0]], "twilio_concurrent": 0},      0 or []: none
     "clocks": {"missive": {"offset": 0.0, "drift": 0.0}, "twilio": {…}},      seconds, and seconds a second
     "plan": {"seed": 1, "reply": 0.2, "stop": 0.03, "unreachable": 0.03, "invalid": 0.02, "landline": 0.0,
              "never_handed_over": 0.0, "hand_over_delay": [0.2, 1.0], "delivery_delay": [0.5, 3.0],
              "reply_delay": [5.0, 60.0], "reply_via": "both", "conversation_gap": 21600.0,
              "numbers": {"+13135550100": "stop"}}}       reply stop unreachable invalid landline silent

Control, under `/_simulator`, JSON, without authentication:

    GET    /health/live                      {"status": "live"}; also at /health/live
    GET    /config      PUT /config          any subset of the above; the whole comes back
    POST   /faults                           one fault or a list of them; 201: their numbers
    GET    /faults      DELETE /faults       [{"kind": …, "n": 1, "at": …, "seen": 3, "fired": 1, "fired_at": …, …}]
    GET    /ledger?messages=true             {"messages": [{"n", "carrier" (missive | twilio | staff), "to", "from",
                                             "body", "missive_id", "conversation", "sid", "accepted_at",
                                             "handed_over_at", "status", "error_code", "after_stop",
                                             "history": [[status, at]…]}…],
                                             "inbound": [{"n", "from", "to", "body", "sid", "at", "acknowledged_at"}…],
                                             "totals": {"accepted", "handed_over", "delivered", "undelivered", "failed",
                                             "never_handed_over", "inbound", "after_stop", "refused": {code: n},
                                             "statuses": {status: n}}, "duplicates": [{"to", "from", "body", "count",
                                             "accepted_at": […]}…]}    messages=false leaves out messages and inbound
    GET    /requests?kind=missive_send       {"requests": [{"n", "kind", "method", "path", "to", "at", "answered_at",
                                             "concurrent", "status", "code" (Twilio's, of an error), "fault",
                                             "violation"}…], "totals": {"requests", "violations", "kinds": {kind: n},
                                             "statuses": {status: n}, "peak": {"concurrent", "1s", "60s", "900s"}}}
                                             kinds: missive_send missive_message twilio_send twilio_log twilio_message
                                             missive_post missive_organizations missive_labels missive_label
                                             missive_conversations other abandoned (the client left before the body
                                             was whole); `at` is epoch seconds that never go backwards;
                                             `peak` counts sends, but for concurrent; list=false: totals
    GET    /webhooks                         deliveries: [{"kind" (missive | sms | status), "url", "attempts", "status",
                                             "sid", "at", "done_at"}…]
    POST   /inbound                          {"from": "+1…", "to": "+1…", "body": "STOP"}: a handset texts now; 201
    POST   /outbound                         {"from", "to", "body"}: staff texts by hand; in the log, never a duplicate
    PUT    /labels                           {"from": "+1…" (a handset), "to": "+1…" (ours), "labels": ["id"…],
                                             "tell": true}: staff label a conversation; the rule's webhook tells of it
    POST   /reset                            forgets messages, requests and faults; the configuration stays

A fault: `{"kind": …, "on": "send" | "message" | "label" | "log" | "webhook", "carrier": null | "missive" | "twilio",
"to": null, "skip": 0, "every": 1, "count": null, "lasts": null, "probability": 1.0, "retry_after": 1, "seconds": 1.0,
"status": 500, "entries": 1, "html": false}`. Of the requests that match `on`, `carrier` and `to`, the first `skip` are
let off; then each `every`-th fires with `probability` (seeded), `count` times at most, and for `lasts` seconds. Of
several faults, the first that fires is the one. Kinds:

    rate_limited         429 with Retry-After (Twilio: code 20429), not accepted (not counted as a violation)
    error_before         `status`, not accepted        error_after    accepted, then `status`; with `html` these three
                         are a page of a gateway's, not the carrier's JSON
    cut_before           not accepted, then the connection breaks in the middle of the answer
    cut_after            accepted, then the connection breaks; both need a real server
    slow                 accepted, then answered after `seconds`; on webhooks: delivered `seconds` late
    never_handed_over    Missive accepts, Twilio never hears of it
    log_unreadable       `status` (500) from Twilio's list
    log_lag              the list is as it was `seconds` ago: new messages, replies and statuses come late
    log_frozen           the list stands still, as it was when the fault came, for as long as it `lasts`; both fire
                         only where that hides something that was asked for
    shift_pages          a page after the first repeats the last `entries` of the one before: new ones came at the head
    skip_entries         a page after the first leaves `entries` out: some at the head went away
    repeat, drop         on webhooks: delivered twice, or never

Choices: a Messaging Service sends to each recipient from one number of its own, always the same (sticky sender), and
the log's entry names both; who said STOP to one of its numbers has said it to the service. A number that is `invalid`
is 400 at Missive and 21211 at Twilio; a `landline` is taken by Missive and undelivered with 30006, and 21614 at
Twilio; `unreachable` ends undelivered with 30003, 30005 or 30006. A message that Missive takes for somebody who said
STOP is never handed over: Twilio refuses it with 21610, which only the ledger here tells (`after_stop`, `error_code`);
its message has no `external_id` and the log no entry. Missive's rule tells of a reply with its preview alone; the
message has the whole body. "Stop." with a full stop is said by some handsets and is no keyword to Twilio. A handset
answers the first delivered message of a conversation, counted from its delivery. A carrier's clock that is off shows
in the `Date` of every answer of that carrier (the control API's is right), in all times in Twilio's log, and in
Missive's `created_at`, `delivered_at` and `updated_at`; what it said of a moment before it was set stays. The ledger
and the requests have true times. Status callbacks come at `sent` and at the last status. Limits slide, and a request
that they turn away does not count. A new seed holds for numbers at once, for faults from the next reset on.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar, asgi
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.handlers import ASGIRouteHandler
from litestar.types import Message, Receive, Scope, Send

from libs.simulator import control, missive, twilio
from libs.simulator.carrier_app import CarrierApp
from libs.simulator.clock import http_date
from libs.simulator.config import Config
from libs.simulator.network import Network


def create_app(config: Config | None = None) -> Litestar:
    """Build the simulator; its state is `app.state.network`."""
    network = Network(config or Config())

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await network.webhooks.open()
        try:
            yield
        finally:
            network.clock.forget()
            await network.webhooks.close()

    async def provide_network() -> Network:
        return network

    async def date(message: Message, _: Scope) -> None:
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders.from_message(message)
            headers.setdefault("date", http_date(network.clock.now()))

    app = Litestar(
        route_handlers=[
            _mounted(missive.PREFIX, CarrierApp(network, "missive", missive)),
            _mounted(twilio.PREFIX, CarrierApp(network, "twilio", twilio)),
            *control.HANDLERS,
        ],
        dependencies={"network": Provide(provide_network)},
        lifespan=[lifespan],
        before_send=[date],
        openapi_config=None,
        logging_config=None,
    )
    app.state.network = network
    return app


def _mounted(path: str, carrier_app: CarrierApp) -> ASGIRouteHandler:
    @asgi(path, is_mount=True, copy_scope=True)
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await carrier_app(scope, receive, send)

    return handle
