"""Random histories in the verbs of the simulated host: what a network, a client, a manager or a person may do next."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

from trimif import EncryptedDnsServer, Information, InterfaceKind, PvdOption
from trimif.testing import SimulatedHost

INTERFACES = ("eth0", "wlan0", "vpn0")
DOMAINS = ("pvd.a.example", "pvd.b.example")
PORTAL = "https://portal.example/api"


class RandomVerbs:
    """`step` does one random thing to a host; what is not there to be taken away stays so."""

    def __init__(self, rng: random.Random, host: SimulatedHost) -> None:
        self.rng = rng
        self.host = host
        self._additions = [
            self._advertise,
            self._lease,
            self._dhcpv6_lease,
            self._by_hand,
            self._fetch,
            self._configure,
        ]
        self._link = "eth0"

    def step(self) -> None:
        self._link = self.rng.choice(INTERFACES)
        what = self.rng.randrange(20)
        with suppress(ValueError):  # it is there already
            self.host.add_link(self._link, kind=self.rng.choice(list(InterfaceKind)))
        if what == 0:
            self._change_link()
        elif what <= 4:
            with suppress(ValueError):  # it is not there
                self.rng.choice(self._removals())()
        else:
            self.rng.choice(self._additions)()

    def _some(self, *items: str) -> list[str]:
        return self.rng.sample(items, self.rng.randrange(len(items) + 1))

    def _chance(self) -> bool:
        return self.rng.random() < 0.5

    def _seconds(self) -> float:
        return self.rng.choice([0.5, 2.0, 10.0, 60.0, 3600.0, float("inf")])

    def _router(self) -> str:
        return self.rng.choice(["fe80::1", "fe80::2"])

    def _network(self) -> str:
        return f"2001:db8:{self.rng.randrange(1, 3)}:"

    # ---------------------------------------------------------------- more

    def _advertise(self) -> None:
        rng, flags = self.rng, {"legacy": self._chance(), "http": self._chance()}
        domain = rng.choice([None, rng.choice(DOMAINS), PvdOption(rng.choice(DOMAINS), **flags)])
        server = EncryptedDnsServer(rng.randrange(1, 3), "dns.example", alpn=("dot",))
        self.host.advertise(
            self._link,
            rng.choice([None, f"{self._network()}:/64"]),
            seconds=rng.choice([0.0, self._seconds()]),
            router=self._router(),
            domain=domain,
            dns_servers=self._some("2001:db8::53", "2001:db8::54"),
            search_domains=self._some("corp.example", "example.org"),
            encrypted_dns=[server] * self._chance(),
            routes=self._some("2001:db8:7::/48"),
            pref64=self._some("64:ff9b::/96"),
            mtu=rng.choice([None, 1400]),
            captive_portal=rng.choice([None, PORTAL]),
            preference=rng.randrange(-1, 2),
            managed=self._chance(),
            other_configuration=self._chance(),
        )

    def _lease(self) -> None:
        self.host.add_lease(
            self._link,
            f"198.51.100.{self.rng.randrange(7, 9)}/24",
            seconds=self._seconds(),
            search_domains=self._some("corp.example"),
            ntp_servers=self._some("198.51.100.123"),
            mtu=self.rng.choice([None, 1400]),
            captive_portal=self.rng.choice([None, PORTAL]),
            data={Information.METERED: True} if self._chance() else None,
        )

    def _dhcpv6_lease(self) -> None:
        own = f"{self._network()}:99"
        seconds = self._seconds()
        self.host.add_dhcpv6_lease(
            self._link,
            *self._some(own, "2001:db8:9::99"),
            seconds=seconds,
            preferred_seconds=self.rng.choice([None, seconds / 2]),
            dns_servers=self._some("2001:db8::66"),
            data={Information.NTP_NAMES: ("time.example",)} if self._chance() else None,
        )

    def _by_hand(self) -> None:
        address = self.rng.choice(["203.0.113.7/24", "2001:db8:8::7/64", f"{self._network()}:10/64"])
        self.host.add_address(self._link, address, seconds=self._seconds())
        self.host.add_route(self._link, "0.0.0.0/0", router=self.rng.choice([None, "203.0.113.1"]))

    def _configure(self) -> None:
        self.host.configure(
            self._link,
            dns_servers=self._some("203.0.113.53", "2001:db8:8::53"),
            split_domains=self._some("corp.example"),
            metered=self.rng.choice([None, True, False]),
            kind=self.rng.choice([None, InterfaceKind.CELLULAR]),
            manager=self.rng.choice(["resolved", "NetworkManager"]),
        )

    def _fetch(self) -> None:
        if self._chance():
            self.host.set_portal(self._link, PORTAL, captive=self._chance(), seconds=self._seconds())
            return
        zones, domain = self._some("corp.example"), self.rng.choice(DOMAINS)
        metered = self.rng.choice([None, True])
        self.host.add_pvd_information(self._link, domain, seconds=self._seconds(), dns_zones=zones, metered=metered)

    # ---------------------------------------------------------------- less

    def _removals(self) -> list[Callable[[], None]]:
        host, link, domain = self.host, self._link, self.rng.choice([None, *DOMAINS])
        return [
            lambda: host.stop_advertising(link, router=self._router(), domain=domain),
            lambda: host.remove_router(link, router=self._router(), domain=domain),
            lambda: host.remove_lease(link),
            lambda: host.remove_dhcpv6_lease(link),
            lambda: host.remove_address(link, "203.0.113.7"),
            lambda: host.remove_route(link, "0.0.0.0/0"),
            lambda: host.remove_pvd_information(link, DOMAINS[0]),
            lambda: host.remove_portal(link, PORTAL),
            lambda: host.configure(link, manager="resolved"),
        ]

    def _change_link(self) -> None:
        choices: list[Callable[[], None]] = [
            lambda: self.host.remove_link(self._link),
            lambda: self.host.set_carrier(self._link, self._chance()),
            lambda: self.host.set_up(self._link, self._chance()),
            self._rename,
        ]
        self.rng.choice(choices)()

    def _rename(self) -> None:
        self.host.rename(self._link, "renamed0")
        self.host.rename("renamed0", self._link)
