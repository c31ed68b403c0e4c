"""The head of a PvD option (RFC 8801, 3.1): type 21, which names an explicit provisioning domain.

::

    octets 2–3   H L R, nine reserved bits ("it MUST ignore these flags"), four bits of delay
    octets 4–5   sequence number
    octets 6–    the PvD id, a domain name in the form of RFC 1035, "Domain name compression … MUST NOT be used"
                 padding to a multiple of eight octets, counted from the option's first octet
                 if R: a whole header of a router advertisement, 16 octets
                 options

What follows the id is the business of `neighbour_discovery_options`.
"""

from __future__ import annotations

import struct

from trimif._information import PvdOption
from trimif._wire.domain_names import decode_name, encode_name
from trimif._wire.neighbour_discovery_fields import expect, pack

__all__ = ["encode_domain_head", "split_domain_head"]

HTTP, LEGACY, HEADER, DELAY = 0x8000, 0x4000, 0x2000, 0x000F

_HEAD = struct.Struct("!HH")


def split_domain_head(content: bytes) -> tuple[PvdOption, bool, bytes]:
    """Split an option's content, from its third octet on.

    Returns:
        Who it is about, whether a header of a router advertisement follows, and all that follows. The id is in
        lower case: ids "MUST be compared in a case-insensitive manner" (RFC 8801, 3.4). Without the flag H, receivers
        "SHOULD ignore" delay and sequence number: then they are 0.

    Raises:
        MalformedInput: it is cut short, or the id is not a domain name.
    """
    expect(len(content) > _HEAD.size, "a PvD option is too short")
    flags, sequence = _HEAD.unpack_from(content)
    name, end = decode_name(content, _HEAD.size)
    option = PvdOption(
        identifier=name.lower(),
        http=bool(flags & HTTP),
        legacy=bool(flags & LEGACY),
        delay=flags & DELAY if flags & HTTP else 0,
        sequence=sequence if flags & HTTP else 0,
    )
    return option, bool(flags & HEADER), content[end + _padding(end) :]


def encode_domain_head(option: PvdOption, *, header: bool) -> bytes:
    """Encode the head, padded; `header` says whether a header of a router advertisement will follow.

    Raises:
        ValueError: the id is not a domain name, or a number does not fit its field.
    """
    if not 0 <= option.delay <= DELAY:
        raise ValueError(f"a PvD option has no room for the delay {option.delay}")
    flags = option.http * HTTP | option.legacy * LEGACY | header * HEADER | option.delay
    head = pack(_HEAD, flags, option.sequence) + encode_name(option.identifier.lower())
    return head + bytes(_padding(len(head)))


def _padding(octets: int) -> int:
    """How many octets there are after so many of the content, up to a multiple of eight; type and length are two."""
    return -(octets + 2) % 8
