"""Multicast DNS: asking the hosts on a link for names under ``.local`` (RFC 6762), as a one-shot querier (5.1).

The question is sent from an ordinary port and not from 5353, so responders answer that port directly, with its id and
the question repeated (6.7, "legacy unicast"). Nothing has to be listened to when nobody asks, and another multicast DNS
program on the host is not in the way. Both A and AAAA are asked for in one message.

After the first answer others may take up to 120 ms, the random delay of responders that share a name (6), so it is
over `COLLECT_SECONDS` after the first one. Asked by IPv6, responders tell AAAA records alone (avahi, systemd-resolved),
and some tell A records alone when asked by IPv4 (systemd-resolved): a domain of one family gets what its family gives.
There is no negative answer: a host speaks only for its own names, and can say that it lacks one of the families (NSEC,
6.1). A name that nobody bears costs `INTERVAL_SECONDS` three times.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from trimif._errors import MalformedInput
from trimif._model import DomainView, Family, IPAddress, TranslationOutcome
from trimif._names._link_messages import link_labels
from trimif._names._link_queries import LinkProtocol, ask_link

INTERVAL_SECONDS = 1.0  # RFC 6762, 5.2: between the first two questions at least one second
COLLECT_SECONDS = 0.15

MDNS = LinkProtocol(
    name="mdns",
    port=5353,
    groups=(IPv4Address("224.0.0.251"), IPv6Address("ff02::fb")),
    messages=((Family.IPV4, Family.IPV6),),
    interval=INTERVAL_SECONDS,
    times=3,
    collect=COLLECT_SECONDS,
    marks_conflicts=False,
)


def is_mdns_name(name: str) -> bool:
    """Is it for multicast DNS? Everything under ``.local``, and nothing else (RFC 6762, 3)."""
    labels = link_labels(name)
    return len(labels) > 1 and labels[-1].lower() == b"local"


async def ask_mdns(
    view: DomainView,
    name: str,
    tell: Callable[[IPAddress], None],
    *,
    note_malformed: Callable[[MalformedInput], None],
) -> TranslationOutcome:
    """Ask the hosts on the domain's link for the addresses of a name under ``.local``.

    It ends by itself within 3 s, and 0.15 s after the first answer. If cancelled, no socket is left.

    Args:
        tell: called with each address as soon as it is known, each once, 64 times at most. IPv6 link-local addresses
            bear the name of the domain's interface as their scope id.
        note_malformed: called with each answer that was no DNS message; it was passed over.

    Returns:
        ANSWERED; TRUNCATED: there are more addresses; NO_DATA: a host bears the name, without an address; TIMED_OUT:
        silence, which is how a link says that there is no such name, but also how it loses packets; NO_SERVERS: the
        name is not under ``.local``, or the domain has no address to ask from, or its interface can't send.
    """
    return await ask_link(view, MDNS, name if is_mdns_name(name) else "", tell, note_malformed)
