"""What a captive portal's API answers: the JSON object of RFC 8908, 5.

One key is required, ``captive``. "If a client receives a key that it does not recognize, it MUST ignore the key and
any associated value"; an optional key whose value is not what it has to be is treated the same.
"""

from __future__ import annotations

from trimif._errors import MalformedInput
from trimif._information import PortalInformation
from trimif._wire.json_object import optional_boolean, optional_integer, optional_url, parse_object

__all__ = ["UNRESTRICTED", "parse_portal"]

UNRESTRICTED = "urn:ietf:params:capport:unrestricted"
"""In place of an API's URI: the network has no captive portal (RFC 8910, 2)."""


def parse_portal(octets: bytes, now: float) -> PortalInformation:
    """Parse an answer.

    Args:
        now: when it came, in seconds on the clock of the deadlines.

    Raises:
        MalformedInput: it is no JSON object, or does not say whether the host is captive.
    """
    members = parse_object(octets)
    captive = members.get("captive")
    if not isinstance(captive, bool):
        raise MalformedInput("'captive', which is required, is not there as a boolean")
    # "SHOULD omit this value for captive clients": who is captive has no session that could end
    seconds = None if captive else optional_integer(members.get("seconds-remaining"))
    return PortalInformation(
        captive=captive,
        user_portal_url=optional_url(members.get("user-portal-url"), "https"),  # "MUST be accessed over TLS"
        venue_info_url=optional_url(members.get("venue-info-url"), "https", "http"),  # "SHOULD be"
        can_extend_session=optional_boolean(members.get("can-extend-session")),
        session_until=None if seconds is None else now + seconds,
        octets_remaining=None if captive else optional_integer(members.get("bytes-remaining")),
    )
