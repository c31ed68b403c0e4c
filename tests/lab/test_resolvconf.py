"""Debian's resolvconf and openresolv themselves: what they were told of a tunnel is reported, until they forget it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from trimif._information import Information
from trimif._sources.resolvconf import ResolvconfSource
from trimif.testing._lab import Lab
from trimif.testing._lab_private_host import PrivateHost
from trimif.testing._lab_resolved import Resolvconf, why_not_unpacked
from trimif.testing._namespaces import Namespace
from trimif.testing._running_source import running

pytestmark = pytest.mark.lab

RECORD = "nameserver 198.51.100.129\nnameserver fd6d:6966:1::1\nsearch corp.example\n"
TOLD = {
    Information.DNS_SERVERS: (ip_address("198.51.100.129"), ip_address("fd6d:6966:1::1")),
    Information.SEARCH_DOMAINS: ("corp.example",),
}


@pytest.fixture(params=["resolvconf", "openresolv"])
def resolvconf(request: pytest.FixtureRequest, lab: Lab, on_host: Namespace) -> Iterator[Resolvconf]:
    if (reason := why_not_unpacked(request.param)) is not None:
        (pytest.fail if os.environ.get("TRIMIF_REQUIRE_LAB") == "1" else pytest.skip)(reason)
    with PrivateHost(lab.host, lab.directory) as host:
        yield Resolvconf(host, request.param)


@pytest.mark.parametrize("record", ["vpn0", "vpn0.openvpn", "tun.vpn0"])
async def test_a_record_comes_and_changes_and_goes(resolvconf: Resolvconf, record: str) -> None:
    async with running(ResolvconfSource(resolvconf.directory)) as source:
        assert source.facts == []
        resolvconf.add(record, RECORD)
        await source.when(source.configurations)
        assert source.configurations() == {"vpn0": TOLD}
        resolvconf.add(record, "nameserver 198.51.100.130\n")
        changed = {"vpn0": {Information.DNS_SERVERS: (ip_address("198.51.100.130"),)}}
        await source.when(lambda: source.configurations() == changed)
        resolvconf.delete(record)
        await source.when(lambda: source.configurations() == {})
        assert source.limitations() == []


@pytest.mark.parametrize("resolvconf", ["openresolv"], indirect=True)  # Debian's own has none
async def test_a_private_record(resolvconf: Resolvconf) -> None:
    resolvconf.add("vpn0", RECORD, "-p")
    async with running(ResolvconfSource(resolvconf.directory)) as source:
        assert source.configurations() == {"vpn0": TOLD | {Information.SPLIT_DOMAINS: ("corp.example",)}}
