"""Link-Local Multicast Name Resolution: asking the hosts on a link for a name of one label (RFC 4795).

A and AAAA are asked for in a message each. A host that holds the name for its own leaves the "conflict" bit clear, and
then the question is answered; if it is set, others are waited for (2.7). A host that has not verified yet that the
name is its own says so with the bit "tentative", and does not count (2.1.1). One that bears the name but has no address
of the family says that with an empty answer. systemd-resolved does so, too, where it is asked for AAAA by IPv4 or for A
by IPv6, so in a domain of both families the answer by the other is waited for, for a while. About other hosts' names
nobody says a word: a name that nobody bears costs `INTERVAL_SECONDS` three times.

A cut answer would be asked for again by TCP (2.1.1): a host whose addresses do not fit into 512 octets has more than
20 of them, and those that fit are told.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from trimif._errors import MalformedInput
from trimif._model import DomainView, Family, IPAddress, TranslationOutcome
from trimif._names._link_messages import link_labels
from trimif._names._link_queries import LinkProtocol, ask_link

# RFC 4795, 7: LLMNR_TIMEOUT is 100 ms on IEEE 802 media, JITTER_INTERVAL 100 ms; and 200 ms more for Wi-Fi, which
# holds multicast back until sleeping stations wake up.
INTERVAL_SECONDS = 0.4

LLMNR = LinkProtocol(
    name="llmnr",
    port=5355,
    groups=(IPv4Address("224.0.0.252"), IPv6Address("ff02::1:3")),
    messages=((Family.IPV6,), (Family.IPV4,)),
    interval=INTERVAL_SECONDS,
    times=3,  # RFC 4795, 2.7: not more than three times
    collect=INTERVAL_SECONDS,
    marks_conflicts=True,
)


def is_llmnr_name(name: str) -> bool:
    """Is it for LLMNR? A name of one label."""
    return len(link_labels(name)) == 1


async def ask_llmnr(
    view: DomainView,
    name: str,
    tell: Callable[[IPAddress], None],
    *,
    note_malformed: Callable[[MalformedInput], None],
) -> TranslationOutcome:
    """Ask the hosts on the domain's link for the addresses of a name of one label.

    It ends by itself within 1.2 s, and as soon as the one host that holds the name has answered for both families. If
    cancelled, no socket is left.

    Args:
        tell: called with each address as soon as it is known, each once, 64 times at most. IPv6 link-local addresses
            bear the name of the domain's interface as their scope id.
        note_malformed: called with each answer that was no DNS message; it was passed over.

    Returns:
        ANSWERED; TRUNCATED: there are more addresses; NO_DATA: a host bears the name, without an address; TIMED_OUT:
        silence, which is how a link says that there is no such name, but also how it loses packets; NO_SERVERS: the
        name has more than one label, or the domain has no address to ask from, or its interface can't send.
    """
    return await ask_link(view, LLMNR, name if is_llmnr_name(name) else "", tell, note_malformed)
