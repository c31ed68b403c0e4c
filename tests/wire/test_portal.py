"""What a captive portal's API answers (RFC 8908, 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._information import PortalInformation
from trimif._wire.portal import parse_portal

PORTAL = "https://example.org/portal.html"
VENUE = "https://flight.example.com/entertainment"


def parse(**members: Any) -> PortalInformation:
    return parse_portal(json.dumps(members).encode(), 1000.0)


def told(key: str, value: Any) -> PortalInformation:
    return parse(**{"captive": False, key: value})


def test_the_examples_of_the_rfc() -> None:
    assert parse(captive=True, **{"user-portal-url": PORTAL}) == PortalInformation(True, PORTAL)
    members = {
        "captive": False,
        "user-portal-url": PORTAL,
        "venue-info-url": VENUE,
        "seconds-remaining": 326,
        "can-extend-session": True,
        "bytes-remaining": 65536,
        "unknown": {"captive": True},
    }
    assert parse(**members) == PortalInformation(False, PORTAL, VENUE, True, 1326.0, 65536)


@pytest.mark.parametrize("value", [None, 0, 1, "true", [], {}])
def test_captive_is_required(value: Any) -> None:
    with pytest.raises(MalformedInput, match="captive"):
        parse(captive=value)
    with pytest.raises(MalformedInput, match="captive"):
        parse()


def test_who_is_captive_has_no_session() -> None:
    assert parse(captive=True, **{"seconds-remaining": 5, "bytes-remaining": 5}) == PortalInformation(True)


@pytest.mark.parametrize(("value", "until"), [(0, 1000.0), (60.0, 1060.0), (2**53 - 1, 1000.0 + 2**53 - 1)])
def test_seconds_become_a_deadline(value: float, until: float) -> None:
    assert told("seconds-remaining", value).session_until == until


@pytest.mark.parametrize("value", [-1, 1.5, 2**53, 10**400, 1e300, True, "60", None, [60]])
def test_other_numbers_are_left_out(value: Any) -> None:
    assert told("seconds-remaining", value).session_until is None
    assert told("bytes-remaining", value).octets_remaining is None


@pytest.mark.parametrize(
    "value",
    [
        "http://example.org/",  # "MUST be accessed over TLS"
        "HTTPS:",
        "https://",
        "https:///portal",
        "https://exa mple.org/",
        "https://example.org/\x1b[31m",
        "https://exämple.org/",
        "https://example.org:port/",
        "https://[::1/",
        "https://example.org/" + "x" * 2048,
        "javascript:alert(1)",
        "//example.org/",
        7,
        None,
    ],
)
def test_a_page_that_is_no_https_url_is_left_out(value: Any) -> None:
    assert told("user-portal-url", value).user_portal_url is None


def test_a_venue_may_be_without_tls() -> None:
    assert told("venue-info-url", "http://example.org/").venue_info_url == "http://example.org/"
    assert told("venue-info-url", "file:///etc/passwd").venue_info_url is None


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_a_session_that_can_perhaps_be_extended(value: Any) -> None:
    assert told("can-extend-session", value).can_extend_session is None
    assert told("can-extend-session", False).can_extend_session is False


KEYS = ["captive", "user-portal-url", "venue-info-url", "can-extend-session", "seconds-remaining", "bytes-remaining"]
VALUES: st.SearchStrategy[object] = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([{}])


def parse_anything(octets: bytes) -> None:
    try:
        answer = parse_portal(octets, 1000.0)
    except MalformedInput:
        return
    assert isinstance(answer.captive, bool)
    assert answer.session_until is None or 1000.0 <= answer.session_until < 10**17
    hash(answer)


@given(
    st.binary(max_size=200) | st.dictionaries(st.sampled_from(KEYS), VALUES).map(lambda each: json.dumps(each).encode())
)
@settings(max_examples=200)
def test_anything_is_an_answer_or_malformed(octets: bytes) -> None:
    parse_anything(octets)
