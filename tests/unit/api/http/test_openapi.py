"""The API's description of itself."""

from typing import Any

import pytest
from litestar.handlers import HTTPRouteHandler

from services.api import app
from services.api.contacts import imports
from services.api.http import openapi, operations, problems
from services.api.http.problems import URN

DESCRIBED = app.description()
OPERATIONS = {
    f"{method} {path}": operation for path, item in DESCRIBED["paths"].items() for method, operation in item.items()
}
SCHEMAS = DESCRIBED["components"]["schemas"]


def refs(value: Any) -> set[str]:
    """Every schema that something refers to."""
    if isinstance(value, list):
        return set().union(*map(refs, value))
    if isinstance(value, dict):
        own = {value["$ref"].removeprefix("#/components/schemas/")} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(refs, value.values()))
    return set()


def test_every_route_is_described() -> None:
    told = {
        f"{method.lower()} {operations.path(template)}"
        for handler in app.HANDLERS if isinstance(handler, HTTPRouteHandler)
        for template in handler.paths for method in handler.http_methods
    }  # fmt: skip
    assert told == OPERATIONS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_tells_what_it_does_whose_it_is_and_what_may_go_wrong(name: str) -> None:
    told = OPERATIONS[name]
    assert told["summary"]
    assert told["summary"] in told["description"].replace("\n", " ")
    assert told["tags"][0] in openapi.TAGS
    assert {"400", "500", "503"} <= told["responses"].keys()
    for status, answer in told["responses"].items():
        if status[0] in "45":
            assert list(answer["content"]) == [problems.MEDIA_TYPE]
    if "security" in told:
        assert told["security"] == []
        assert "401" not in told["responses"]
    else:
        assert "WWW-Authenticate" in told["responses"]["401"]["headers"]
    assert "Retry-After" in told["responses"]["503"]["headers"]
    if "{" in name:
        assert "404" in told["responses"]


def test_every_id_of_an_operation_is_one_and_stays() -> None:
    ids = [told["operationId"] for told in OPERATIONS.values()]
    assert len(ids) == len(set(ids))
    assert {"post_broadcasts", "get_broadcast", "patch_broadcast", "get_broadcast_report", "post_contacts_import",
            "post_make", "post_broadcast_send_now", "get_segment_preview", "delete_contact"} <= set(ids)  # fmt: skip


def test_every_schema_that_is_named_is_there_and_every_one_that_is_there_is_named() -> None:
    used = refs(DESCRIBED)
    # A method that no route has is answered by the router: there is no operation to tell it.
    assert SCHEMAS.keys() - {"MethodNotAllowedProblem"} == used - {"MethodNotAllowedProblem"}


def test_no_two_things_have_one_name() -> None:
    assert [name for name in SCHEMAS if "." in name] == []


def test_every_type_of_problem_is_a_schema() -> None:
    types = {schema["properties"]["type"]["const"] for name, schema in SCHEMAS.items() if name.endswith("Problem")}
    assert types == {problem.type for problem in problems.PROBLEMS.values()}
    assert all(type_.startswith(URN) for type_ in types)


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_a_moment_or_a_state_says_so(name: str) -> None:
    for field, schema in SCHEMAS[name].get("properties", {}).items():
        kinds = [SCHEMAS[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
                 for each in schema.get("anyOf", [schema])]  # fmt: skip
        if field.endswith("_at") or field.startswith("run_at"):
            assert any(kind.get("format") == "date-time" for kind in kinds), field
        if field in ("state", "paused_from"):
            assert any("enum" in kind for kind in kinds), field


def test_a_body_that_a_client_sends_says_that_it_takes_no_other_fields_and_where_its_limits_are() -> None:
    bodies = {
        name for told in OPERATIONS.values()
        for name in refs(told.get("requestBody", {}).get("content", {}).get("application/json", {}))
    }  # fmt: skip
    assert {"NewBroadcast", "BroadcastChanges", "NewSegment", "ContactChanges"} <= bodies
    for name in bodies:
        assert SCHEMAS[name]["additionalProperties"] is False
    assert SCHEMAS["NewBroadcast"]["properties"]["second_delay"]["minimum"] == 0
    assert SCHEMAS["Share"]["properties"]["segment_id"]["maximum"] == 2**63 - 1
    names = SCHEMAS["ContactChanges"]["properties"]["attributes"]["propertyNames"]
    assert names["pattern"].startswith("^[a-z0-9_]")


def test_what_a_request_is_sent_with_is_told() -> None:
    import_ = OPERATIONS["post /contacts/import"]
    assert import_["requestBody"]["content"].keys() == {*imports.TEXTS, *imports.WORKBOOKS, "multipart/form-data"}
    assert "Idempotency-Key" in {each["name"] for each in import_["parameters"]}
    patch = OPERATIONS["patch /broadcasts/{broadcast_id}"]
    assert "If-Match" in {each["name"] for each in patch["parameters"]}
    assert "412" in patch["responses"]
    created = OPERATIONS["post /broadcasts"]["responses"]["201"]
    assert created["headers"].keys() == {"Location", "ETag"}
    stream = OPERATIONS["get /broadcasts/{broadcast_id}/stream"]["responses"]["200"]
    assert list(stream["content"]) == ["text/event-stream"]
    missive = OPERATIONS["post /webhooks/missive"]
    assert missive["requestBody"]["content"].keys() == {"application/json"}
    assert "403" in missive["responses"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_pattern_is_one_of_pythons_own(name: str) -> None:
    def patterns(value: Any) -> list[str]:
        if isinstance(value, list):
            return [each for item in value for each in patterns(item)]
        if isinstance(value, dict):
            own = [value["pattern"]] if isinstance(value.get("pattern"), str) else []
            return own + [each for item in value.values() for each in patterns(item)]
        return []

    assert all("(?!" not in each and '\\"' not in each for each in patterns([OPERATIONS[name], SCHEMAS]))
