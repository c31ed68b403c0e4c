"""All checks, in the order in which they are reported. A new one is a function and a line here."""

from __future__ import annotations

from trimif.cli._doctor import _addresses, _links, _names, _programs, _routing
from trimif.cli._doctor._finding import Check, Diagnosis
from trimif.cli._doctor._picture import Picture, Topic

__all__ = ["CHECKS", "diagnose"]

TABLES = frozenset({Topic.TABLES})
SETTINGS = frozenset({Topic.SETTINGS})
PROCESSES = frozenset({Topic.PROCESSES})
RESOLVER_FILE = frozenset({Topic.RESOLVER_FILE})

CHECKS = (
    Check("networks", _links.find_no_network, "there is one at least"),
    Check("captive portals", _links.find_captive_portals, "none holds this host back"),
    Check("loopback", _links.find_loopback_down, "is up"),
    Check("routes", _routing.find_no_route, "lead out of every network's interface", TABLES),
    Check("default routes", _routing.find_no_default_route, "every network with a router has one", TABLES),
    Check("routers", _routing.find_wrong_routers, "every default route leads through a router of its network", TABLES),
    Check("reverse path filters", _routing.find_strict_filters, "let every network's answers in", SETTINGS | TABLES),
    Check("name servers", _names.find_no_servers, "every network has some"),
    Check("ways to name servers", _names.find_unreachable_servers, "each is reached inside its network", TABLES),
    Check("leaking names", _names.find_leaking_resolver, "no network's names are sent to another", RESOLVER_FILE),
    Check("stale name servers", _names.find_stale_resolver, "resolv.conf has none", RESOLVER_FILE),
    Check("overlapping subnets", _addresses.find_overlaps, "none", TABLES),
    Check("ARP flux", _addresses.find_arp_flux, "no interface answers for another's address", SETTINGS | TABLES),
    Check("the same address twice", _addresses.find_same_address, "none", TABLES),
    Check("duplicate addresses", _addresses.find_duplicates, "none", TABLES),
    Check("expired leases", _addresses.find_expired_leases, "none has left its address behind", TABLES),
    Check("disabled IPv6", _links.find_disabled_ipv6, "on no interface that is up", SETTINGS),
    Check("small MTU", _links.find_small_mtu, "every interface is wide enough for IPv6"),
    Check("refused routers", _links.find_refused_advertisements, "no interface ignores its routers", SETTINGS),
    Check("unheard routers", _links.find_unheard_advertisements, "somebody listens on every interface", SETTINGS),
    Check("two programs", _programs.find_two_clients, "no interface is configured by two", PROCESSES),
    Check("two leases", _programs.find_two_leases, "no interface has those of two clients", TABLES),
    Check("privileges", _programs.find_limitations, "trimif sees everything here"),
)


def diagnose(picture: Picture) -> tuple[Diagnosis, ...]:
    """Apply every check to the picture."""
    missing = {each.topic for each in picture.unseen}
    return tuple(
        Diagnosis(check, tuple(check.find(picture)), tuple(each for each in Topic if each in check.needs & missing))
        for check in CHECKS
    )
