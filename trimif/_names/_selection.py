"""Which names are tried for a name, which systems are asked for each, and which of a domain's servers: no I/O.

What a program writes is read once, with IDNA 2008 after the mappings of UTS 46 (``Faß.de``, ``例え。テスト``; emoji are
no names). A *route* is what becomes of it: the absolute names to try, in their order, and for each of them the systems
that may be asked. Most names may be asked of the DNS; the special-use names of `_SPECIAL` may not, or not of it alone,
and are never tried below a search domain: that would carry them to the very servers that are not to see them.

What networks say of their domains is as hostile as all that they say: what can't be a name counts for nothing.

Which servers of the domain know a name is said by RFC 6731. All the domain's servers are of one network, so the
question of whom to trust more does not arise among them; it does between domains (:func:`covers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from attrs import frozen

from trimif._model import DomainView, IPAddress

if TYPE_CHECKING:
    from dns.name import Name

    from trimif._information import DnsServerSelection

SEARCH_DOMAINS = 16  # the network says them; each costs two questions
NAME_CHARACTERS = 1024  # the longest name there is, each of its octets written as \DDD, is shorter

HOSTS, DNS, MDNS, LLMNR = "hosts", "dns", "mdns", "llmnr"
BUILT_IN_SYSTEMS = frozenset({HOSTS, DNS, MDNS, LLMNR})

Labels: TypeAlias = tuple[bytes, ...]
"""A name's labels in lower case, without the root's: names compare without regard to case (RFC 4343)."""

_ORDINARY = frozenset({HOSTS, DNS})
_SINGLE_LABEL = frozenset({HOSTS, DNS, LLMNR})
_LINK = frozenset({HOSTS, MDNS})
_NOBODY = frozenset({HOSTS})  # what the host's own table says is the user's will

# Special-use names, with all below them, and who may be asked. All others are ordinary, on purpose also "test",
# "example", "internal", "home.arpa" and the reverse names of private addresses: their RFCs want no special treatment
# by resolver libraries (RFC 6761, 6.1, 6.2 and 6.5), or only that the network's own servers are asked (RFC 8375, 4).
_SPECIAL: Mapping[Labels, frozenset[str]] = {
    (b"localhost",): _NOBODY,  # RFC 6761, 6.3
    (b"invalid",): _NOBODY,  # RFC 6761, 6.4
    (b"onion",): _NOBODY,  # RFC 7686, 2
    (b"alt",): _NOBODY,  # RFC 9476, 2
    (b"local",): _LINK,  # RFC 6762, 3
    (b"254", b"169", b"in-addr", b"arpa"): _LINK,  # RFC 6762, 4; these too
    (b"8", b"e", b"f", b"ip6", b"arpa"): _LINK,
    (b"9", b"e", b"f", b"ip6", b"arpa"): _LINK,
    (b"a", b"e", b"f", b"ip6", b"arpa"): _LINK,
    (b"b", b"e", b"f", b"ip6", b"arpa"): _LINK,
    (b"ipv4only", b"arpa"): frozenset({DNS}),  # RFC 8880, 7.1: it asks about the network, a host table knows nothing
}


@frozen
class Candidate:
    """A name to try.

    Attributes:
        name: absolute.
        systems: those of the built-in ones that may be asked.
    """

    name: Name
    systems: frozenset[str]

    def may_ask(self, system: str) -> bool:
        """May the system be asked? A program's own always: who adds it knows what it is for (``.onion``, ``.alt``)."""
        return system in self.systems or system not in BUILT_IN_SYSTEMS


@frozen
class Route:
    """What becomes of a name.

    Attributes:
        candidates: in the order in which they are tried; none if it can't be a name in any system.
    """

    candidates: tuple[Candidate, ...]

    @property
    def systems(self) -> frozenset[str]:
        """The built-in systems that have any part in it."""
        return frozenset[str]().union(*(candidate.systems for candidate in self.candidates))


def route_name(name: str, search_domains: Sequence[str] = (), split_domains: Iterable[str] = ()) -> Route:
    """What to try for a name as a program writes it.

    Args:
        search_domains: the domain's, of which the first `SEARCH_DOMAINS` count.
        split_domains: the domain's; like the search domains they say which part of ``.local`` is in its DNS.
    """
    own = (*search_domains[:SEARCH_DOMAINS], *split_domains)
    names = candidate_names(name, search_domains)
    return Route(tuple(Candidate(each, systems_for(each, own)) for each in names))


def candidate_names(name: str, search_domains: Sequence[str]) -> tuple[Name, ...]:
    """The absolute names to try for a name, in their order, each once.

    A single label is tried in the search domains first, a name with a dot as it stands first, and one with a dot at its
    end only so (RFC 1123, 6.1.4.3; RFC 1535). What can't be a name in the DNS is left out.
    """
    read = _read(name)
    if read is None:
        return ()
    written = _below_root(read)
    if read.is_absolute() or (written is not None and _special(labels_of(written)) is not None):
        names = [written]
    else:
        searched = [_join(read, domain) for domain in search_domains[:SEARCH_DOMAINS]]
        names = [*searched, written] if len(read.labels) == 1 else [written, *searched]
    return tuple(dict.fromkeys(each for each in names if each is not None and not _is_number(each)))


def _join(name: Name, domain: str) -> Name | None:
    below = _read_domain(domain)
    return None if below is None else _concatenate(name, below)


def _below_root(name: Name) -> Name | None:
    import dns.name

    return name if name.is_absolute() else _concatenate(name, dns.name.root)


def _concatenate(name: Name, below: Name) -> Name | None:
    import dns.name

    try:
        return name.concatenate(below)
    except dns.name.NameTooLong:
        return None


def _is_number(name: Name) -> bool:
    """RFC 1123, 2.1: the last label of a host name is never a number; ``198.51.100.256`` is an address gone wrong."""
    return name.labels[-2].isdigit()


def _read(text: str) -> Name | None:
    """The name as it is written, absolute only if it ends in a dot; None if it is none, also for the root."""
    import dns.exception
    import dns.name

    if len(text) > NAME_CHARACTERS:
        return None  # IDNA's work grows faster than the text
    try:
        name = dns.name.from_text(text, origin=None, idna_codec=dns.name.IDNA_2008_Practical)
    except (dns.exception.DNSException, UnicodeError, ValueError):
        return None
    return None if name in (dns.name.root, dns.name.empty) else name


@lru_cache(maxsize=1024)  # what networks say about their domains: few, and looked at for every name
def _read_domain(text: str) -> Name | None:
    """A domain of the configuration, absolute; ``"."`` is the root."""
    import dns.name

    if text == ".":
        return dns.name.root
    read = _read(text)
    return None if read is None else _below_root(read)


def labels_of(name: Name) -> Labels:
    """The labels of an absolute name in a form that can be compared."""
    return tuple(label.lower() for label in name.labels[:-1])


def systems_for(name: Name, own_domains: Iterable[str] = ()) -> frozenset[str]:
    """The built-in systems that may be asked for an absolute name.

    Args:
        own_domains: the search and split domains. A network that calls a part of ``.local`` its own has it in its DNS,
            as many do since before RFC 6762 (its appendix G): then both may be asked.
    """
    labels = labels_of(name)
    special = _special(labels)
    if special is None:
        return _SINGLE_LABEL if len(labels) == 1 else _ORDINARY
    if covers((each for each in own_domains if _is_link_domain(each)), name):
        return special | {DNS}
    return special


def _special(labels: Labels) -> frozenset[str] | None:
    found = (_SPECIAL.get(labels[start:]) for start in range(len(labels)))
    return next((systems for systems in found if systems is not None), None)


def _is_link_domain(domain: str) -> bool:
    read = _read_domain(domain)
    return read is not None and _special(labels_of(read)) == _LINK


def covers(domains: Iterable[str], name: Name) -> int:
    """How much the longest of the domains that a name is in, or equal to, says about it; 0 if it is in none.

    That is the number of its labels, the root's included: 1 for ``"."``, 3 for ``"corp.example"``. Between the domains
    of a host the greatest wins. But it is the network that says so: one that is trusted less must not draw the names
    of another to itself, whatever it claims to know (RFC 6731, 4.1).
    """
    labels = labels_of(name)
    return max((_depth(domain, labels) for domain in domains), default=0)


def _depth(domain: str, labels: Labels) -> int:
    read = _read_domain(domain)
    if read is None:
        return 0
    suffix = labels_of(read)
    return len(suffix) + 1 if labels[len(labels) - len(suffix) :] == suffix else 0


def select_servers(view: DomainView, name: Name, *, trusted: bool = False) -> tuple[IPAddress, ...]:
    """The domain's servers to ask for an absolute name, in their order (RFC 6731, 4.1).

    First those for the longest domain that has the name, then those that may be default (RFC 6731: the root is among
    their domains; those of whom nothing is told may be); of equal ones first the preferred, then the first. The others
    are asked only if no other can: the name was asked of this domain, and they are all it has.

    Args:
        trusted: the selection came over a channel that can be trusted, so that it may bring in servers that are no
            plain name servers of the domain. Otherwise it may only say which of these are for what: the use that
            RFC 6731, 4.5, allows without such a channel.
    """
    told = [each for each in view.dns_selection if trusted or each.server in view.dns_servers]
    if not told:
        return tuple(dict.fromkeys(view.dns_servers))
    servers = dict.fromkeys((*view.dns_servers, *(each.server for each in told)))
    ranks = {server: max(_ranks(server, view, told, name)) for server in servers}
    knowing = [server for server in servers if ranks[server][0]] or servers
    return tuple(sorted(knowing, key=ranks.__getitem__, reverse=True))  # stable, also in reverse


def _ranks(
    server: IPAddress, view: DomainView, told: Iterable[DnsServerSelection], name: Name
) -> Iterator[tuple[int, int]]:
    """How well the server matches, and how much it is preferred, by each thing told of it."""
    own = [each for each in told if each.server == server]
    for each in own:
        yield covers(each.domains, name), each.preference
    if not own:  # RFC 6731, 4.1: then it is of medium preference, and taken to know everything
        yield covers((*view.split_domains, "."), name), 0
