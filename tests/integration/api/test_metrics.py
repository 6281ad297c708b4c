"""What the API counts: webhooks by what became of them, requests by their route."""

from prometheus_client import REGISTRY

from tests.integration.api.support import Api, incoming


def webhooks(source: str, result: str) -> float:
    return REGISTRY.get_sample_value("broadsheet_webhooks_total", {"source": source, "result": result}) or 0


async def test_a_webhook_is_counted_by_what_became_of_it(api: Api) -> None:
    results = ("recorded", "known", "ignored", "refused", "malformed")
    before = {result: webhooks("missive", result) for result in results}
    payload = incoming("+13135550142", "hello", api.clock.now)
    await api.missive(payload)
    await api.missive(payload)
    await api.missive({"rule": "something else"})
    assert (await api.client.post("/webhooks/missive", json=payload)).status_code in (401, 403)
    counted = {result: webhooks("missive", result) - before[result] for result in results}
    assert counted == {"recorded": 1, "known": 1, "ignored": 1, "refused": 1, "malformed": 0}


async def test_a_delivery_report_of_a_message_that_is_not_ours_is_ignored(api: Api) -> None:
    before = webhooks("twilio_status", "ignored")
    await api.twilio("/webhooks/twilio/status", {"MessageSid": "SM404", "MessageStatus": "delivered"})
    assert webhooks("twilio_status", "ignored") == before + 1


async def test_requests_are_counted_by_their_route_never_by_their_path(api: Api) -> None:
    await api.client.get("/broadcasts/4711/report?q=%2B13135550142")
    names = [sample for family in REGISTRY.collect() for sample in family.samples if "broadsheet_http" in family.name]
    paths = {sample.labels["path"] for sample in names if "path" in sample.labels}
    assert any("report" in path for path in paths)
    assert not any("4711" in path or "313555" in path for path in paths)
