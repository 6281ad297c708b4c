"""`make audit`: what it takes for a finding, for silence, and for a licence that will do."""

import json
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.audit import advisories, licences
from tests.audit.advisories import Broken, NobodyToAsk
from tests.audit.licences import Package, Policy
from tests.audit.locks import LOCKS, SERVICES, pins

ALLOWED = Policy(allow=frozenset({"MIT", "BSD License"}), because={"psycopg": "as a library"}, elsewhere={})
#: What pip-audit 2.10 prints.
FLAW = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": ["CVE-1"], "description": ""}
FLAWED = {"name": "a", "version": "1.0", "vulns": [FLAW]}
CLEAN = {"name": "b", "version": "1.0", "vulns": []}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (1.0)"}
OFFLINE = (
    "Traceback (most recent call last):\n  …\nrequests.exceptions.ConnectionError: HTTPSConnectionPool("
    "host='api.osv.dev', port=443): Max retries exceeded with url: /v1/query"
)


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_of_a_lock_is_pinned_and_hashed(lock: Path) -> None:
    found = pins(lock)
    assert len(found) > 30
    assert all(each.hashes for each in found)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_lock_names_an_index_or_a_file(lock: Path) -> None:
    text = lock.read_text()
    assert not any(word in text for word in ("://", "--index-url", "--extra-index-url", "--find-links", " @ ", "file:"))


@pytest.mark.parametrize("line", ["a>=1", "a", "a==1 --hash=md5:00", "--index-url https://x", "a @ https://x/a.whl"])
def test_a_line_that_is_no_pin_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "lock.txt").write_text(f"{line}\n")
    with pytest.raises(ValueError, match="not a pin"):
        pins(tmp_path / "lock.txt")


def test_the_list_of_licences_names_what_is_locked_for_production_and_no_more() -> None:
    locked = {(canonicalize_name(each.name), each.version) for each in pins(SERVICES)}
    scripts = {(each.name, each.version) for each in licences.bundled(licences.policy())}
    assert {(each.name, each.version) for each in licences.written()} == locked | scripts


def test_the_list_of_licences_names_what_browsers_load_and_not_what_builds_it() -> None:
    assert [each.name for each in licences.bundled(licences.policy())] == [
        "@scarf/scarf", "htmx-ext-sse", "htmx.org", "swagger-ui-dist",
    ]  # fmt: skip


def test_every_licence_on_the_list_is_allowed_and_every_exception_is_needed() -> None:
    allowed = licences.policy()
    listed = licences.written()
    assert [each for each in listed if licences.refused(each, allowed)] == []
    bare = Policy(allow=allowed.allow, because={}, elsewhere={})
    assert {each.name for each in listed if licences.refused(each, bare)} == allowed.because.keys()
    scripts = licences.bundled(allowed)
    assert licences.LIST.read_text() == licences.text(
        [each for each in listed if each not in scripts], scripts, allowed
    )


@pytest.mark.parametrize("licence", ["MIT", "MIT; BSD License", "MIT AND BSD License", "GPL-3.0-only OR MIT"])
def test_a_licence_of_allowed_terms_will_do(licence: str) -> None:
    assert not licences.refused(Package(name="a", version="1", licence=licence), ALLOWED)


@pytest.mark.parametrize("licence", ["UNKNOWN", "", "GPL-3.0-only", "MIT AND GPL-3.0-only", "AGPL-3.0", "MIT; GPLv3"])
def test_an_unknown_licence_or_one_with_a_term_that_is_not_allowed_is_refused(licence: str) -> None:
    assert licences.refused(Package(name="a", version="1", licence=licence), ALLOWED)
    assert not licences.refused(Package(name="psycopg", version="1", licence=licence), ALLOWED)


def test_a_vulnerability_is_found_whatever_else_was_skipped() -> None:
    answer = advisories.read(report(FLAWED, CLEAN, SKIPPED), "Found 1 known vulnerability in 1 package")
    assert answer.found == ("a 1.0: PYSEC-1, mended in 2.0",)
    assert (answer.known, answer.skipped) == (2, ("c",))


def test_nothing_found_is_nothing_found() -> None:
    assert advisories.read(report(CLEAN), "No known vulnerabilities found").found == ()


def test_an_index_that_knows_no_package_is_nobody_to_ask_though_pip_audit_calls_it_success() -> None:
    with pytest.raises(NobodyToAsk):
        advisories.read(report(SKIPPED), "No known vulnerabilities found")


def test_a_network_that_is_away_is_nobody_to_ask() -> None:
    with pytest.raises(NobodyToAsk):
        advisories.read("", OFFLINE)


def test_an_audit_that_broke_is_neither_clean_nor_offline() -> None:
    with pytest.raises(Broken):
        advisories.read("", "ERROR:pip_audit._cli:package a has duplicate requirements")
    with pytest.raises(Broken):
        advisories.read("", "")
