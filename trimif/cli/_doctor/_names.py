"""Checks of the name servers: does each domain have some, can it reach them, and who else is asked?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from trimif import DomainSnapshot, Information, IPAddress
from trimif.cli._doctor._finding import Finding, Severity, command
from trimif.cli._doctor._picture import Picture, ResolverFile, Way, told
from trimif.cli._doctor._routing import domain_routers

__all__ = ["find_leaking_resolver", "find_no_servers", "find_stale_resolver", "find_unreachable_servers"]

STUB = "ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf"
"""With systemd-resolved each link's names are asked of that link's servers."""


# ---------------------------------------------------------------- each domain's own servers


def find_no_servers(picture: Picture) -> Iterator[Finding]:
    """Domains in which no name can be looked up."""
    beyond = {way.domain for way in picture.default_ways if way.bound is not None}
    for interface, domain in picture.domains():
        if _has_servers(domain):
            continue
        reaches_further = domain.announcement.domain in beyond
        yield Finding(
            Severity.WARNING if reaches_further else Severity.NOTE,
            domain.announcement.name,
            "has no name servers",
            "No name can be looked up inside this network; look-ups in it end with NO_SERVERS, for the servers of "
            "other networks are never asked instead.",
            _set_servers(picture, interface),
        )


def _has_servers(domain: DomainSnapshot) -> bool:
    return any(
        element.data.get(information)
        for element in domain.elements
        for information in (Information.DNS_SERVERS, Information.ENCRYPTED_DNS)
    )


def _set_servers(picture: Picture, interface: str) -> str:
    """With the servers of the same interface's other domain; if no network told any, with those set by hand."""
    owners = _owners(picture)
    known = [server for server in owners if interface in owners[server]]
    return _static_configuration(interface, known if owners else _set_by_hand(picture))


def _static_configuration(interface: str, servers: Sequence[IPAddress]) -> str:
    arguments = ", ".join(f'"{server}"' for server in servers) or '"ADDRESS"'
    return f"trimif.open_mif(static=[trimif.StaticConfiguration({interface!r}, dns_servers=[{arguments}])])"


def find_unreachable_servers(picture: Picture) -> Iterator[Finding]:
    """Name servers that the domain has no way to: outside its prefix, and no route of it leads there."""
    for interface, domain in picture.domains():
        for way in picture.server_ways:
            if way.domain == domain.announcement.domain:
                fault = _fault_of_way(way, domain)
                if fault:
                    yield Finding(
                        Severity.PROBLEM,
                        domain.announcement.name,
                        f"its name server {way.destination} can't be reached inside it: {fault}",
                        "It is not asked, as another network would have to carry the question.",
                        _route_to_server(way, interface, domain),
                    )


def _fault_of_way(way: Way, domain: DomainSnapshot) -> str:
    """What trimif has against the way to a server, as a connect there would be told; empty for nothing."""
    link_local = way.destination.is_link_local
    if way.source is None and not link_local:
        return f"the domain has no IPv{way.destination.version} address"
    if way.bound is None:
        return "no route leads there"
    if way.bound.gateway is not None and way.bound.gateway not in domain_routers(domain):
        return f"the route leads through {way.bound.gateway}, which is none of the domain's routers"
    return ""


def _route_to_server(way: Way, interface: str, domain: DomainSnapshot) -> str:
    server = way.destination
    if way.source is None or server.is_loopback:
        return f"at the network of {interface}, name a server that its hosts can reach"
    router = next((each for each in domain_routers(domain) if each.version == server.version), None)
    via = ("via", router) if router is not None else ()
    return command("ip", "route", "replace", f"{server}/{server.max_prefixlen}", *via, "dev", interface)


# ---------------------------------------------------------------- whom everybody else asks


def find_leaking_resolver(picture: Picture) -> Iterator[Finding]:
    """A resolv.conf that sends the names of every network to the servers of one, or of several in turn.

    The domains of one interface count as one network here: IPv4 and IPv6 of a provider have servers for the same names.
    """
    file, owners = picture.resolver_file, _owners(picture)
    networks = set().union(*owners.values())
    if file is None or len(networks) < 2:
        return
    asked = [sorted(owners[server]) for server in file.servers if server in owners]
    # a server that several networks name (a public one) is no single one's
    named = sorted({owner for each in asked if len(each) == 1 for owner in each})
    if not named:
        return
    others = sorted(networks - set(named))
    if others:
        what = f"sends all names to the servers of {', '.join(named)} alone, also those for {', '.join(others)}"
    else:
        what = f"lists the servers of several networks: {', '.join(named)}"
    yield Finding(
        Severity.WARNING,
        file.path,
        what,
        "Whatever does not use trimif asks one network's servers for another's names: they leak there, and names that "
        "exist in one network only (a VPN's) are found or not by chance.",
        STUB,
    )


def find_stale_resolver(picture: Picture) -> Iterator[Finding]:
    """Servers in resolv.conf that no network names: of one that is gone, or set by hand."""
    file, owners = picture.resolver_file, _owners(picture)
    if file is None:
        return
    for server in _set_by_hand(picture):
        yield Finding(
            Severity.WARNING if owners else Severity.NOTE,
            file.path,
            f"lists the name server {server}, which no provisioning domain has",
            "It is left over from a network that is gone, or was set by hand: it says nothing of which network to ask "
            "it through, and networks' own servers are passed over for it.",
            _remove(server, file) if owners else _assign(server, picture),
        )
    if not file.servers and owners:
        yield Finding(
            Severity.WARNING,
            file.path,
            "lists no name server",
            "Programs that do not use trimif ask 127.0.0.1, though networks have told their servers.",
            STUB,
        )


def _set_by_hand(picture: Picture) -> list[IPAddress]:
    """Those of resolv.conf that are neither a network's nor on this host."""
    servers = picture.resolver_file.servers if picture.resolver_file else ()
    owners = _owners(picture)
    return [server for server in servers if server not in owners and not server.is_loopback]


def _assign(server: IPAddress, picture: Picture) -> str:
    """Where it is the only one, to remove it would do harm: say which network it belongs to."""
    interface = next((name for name, _domain in picture.domains()), "INTERFACE")
    return _static_configuration(interface, [server])


def _remove(server: IPAddress, file: ResolverFile) -> str:
    pattern = str(server).replace(".", r"\.")
    return f"sed -i '/^nameserver[[:space:]]*{pattern}/d' {shlex.quote(file.path)}"


def _owners(picture: Picture) -> Mapping[IPAddress, set[str]]:
    """Each server that a domain has, and the interfaces whose network told it."""
    owners: dict[IPAddress, set[str]] = {}
    for interface, domain in picture.domains():
        for server in told(domain, Information.DNS_SERVERS):
            owners.setdefault(server, set()).add(interface)
    return owners
