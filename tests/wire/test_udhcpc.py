"""The hook's files: what each name means, what is half written, and that nothing else comes out of anything."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimif._errors import MalformedInput
from trimif._facts import Lease
from trimif._information import Information, LeaseTimes, RawOption
from trimif._model import Origin, Route
from trimif._wire.udhcpc import parse_lease

BOUND = """\
action=bound
boottime=1000.25
interface=up-a
ip=198.51.100.10
subnet=255.255.255.192
mask=26
router=198.51.100.1
dns=198.51.100.1 198.51.100.3
domain=isp-a.example
mtu=1460
ntpsrv=198.51.100.1
lease=120
serverid=198.51.100.1
search=isp-a.example example.com
staticroutes=203.0.113.64/26 198.51.100.1 0.0.0.0/0 198.51.100.1
opt53=05
opt58=0000003c
opt59=00000069
opt114=68747470733a2f2f706f7274616c2e6973702d612e6578616d706c652f617069
opt224=c0ffee
end=end
"""


def parsed(text: str) -> Lease:
    lease = parse_lease(text, float)
    assert lease is not None
    return lease


def without(*names: str) -> str:
    return "".join(line for line in BOUND.splitlines(keepends=True) if line.partition("=")[0] not in names)


def test_a_lease() -> None:
    lease = parsed(BOUND)
    router = IPv4Address("198.51.100.1")
    assert (lease.interface, lease.origin) == ("up-a", Origin("udhcpc", router))
    assert (lease.address, lease.prefix_length, lease.valid_until) == (IPv4Address("198.51.100.10"), 26, 1120.25)
    assert lease.routers == lease.ntp_servers == (router,)
    assert lease.routes == (
        Route(IPv4Network("203.0.113.64/26"), router),
        Route(IPv4Network("0.0.0.0/0"), router),
    )
    assert lease.dns_servers == (router, IPv4Address("198.51.100.3"))
    assert (lease.search_domains, lease.mtu) == (("isp-a.example", "example.com"), 1460)
    assert dict(lease.data) == {
        Information.LEASE: LeaseTimes(1060.25, 1105.25, 1120.25),
        Information.CAPTIVE_PORTAL: "https://portal.isp-a.example/api",
        Information.RAW_OPTIONS: (RawOption(224, b"\xc0\xff\xee"),),
    }


def test_the_clock_is_the_callers() -> None:
    lease = parse_lease(BOUND, lambda since_boot: since_boot - 1000)
    assert lease is not None
    assert lease.valid_until == 120.25


@pytest.mark.parametrize("action", ["deconfig", "nak", "leasefail"])
def test_there_is_no_lease(action: str) -> None:
    assert parse_lease(f"action={action}\nboottime=5.00\ninterface=up-a\nend=end\n", float) is None


def test_a_lease_without_end() -> None:
    assert parsed(without("lease")).valid_until == math.inf


def test_a_list_of_domains_that_busybox_refused() -> None:
    assert parsed(without("search").replace("domain=isp-a.example", "domain=bad")).search_domains == ()


def test_a_name_counts_more_than_a_number_if_it_is_right() -> None:
    assert parsed(BOUND + "opt26=05dc\n").mtu == 1460
    assert parsed(without("mtu") + "opt26=05dc\n").mtu == 1500
    assert parsed(BOUND.replace("mtu=1460", "mtu=x") + "opt26=05dc\n").mtu == 1500


def test_an_option_whose_content_is_wrong_is_left_out() -> None:
    text = BOUND.replace("router=198", "router=x").replace("opt114=68", "opt114=zz").replace("opt224", "opt999")
    lease = parsed(text)
    assert lease.routers == ()
    assert [what for what, _ in lease.data] == [Information.LEASE]


@pytest.mark.parametrize("length", range(0, len(BOUND) - 8, 7))
def test_half_a_file_is_malformed(length: int) -> None:
    with pytest.raises(MalformedInput):
        parse_lease(BOUND[:length], float)


@pytest.mark.parametrize("text", [without("interface"), without("ip"), BOUND.replace("=bound", "=born")])
def test_what_identifies_a_lease_must_be_right(text: str) -> None:
    with pytest.raises(MalformedInput):
        parse_lease(text, float)


def understand(text: str) -> None:
    """Must raise nothing but MalformedInput."""
    try:
        parse_lease(text, float)
    except MalformedInput:
        return


NAMES = st.sampled_from([line.partition("=")[0] for line in BOUND.splitlines()])
VALUES = st.sampled_from([line.partition("=")[2] for line in BOUND.splitlines()]) | st.text(max_size=20)


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    understand(text)


@given(st.dictionaries(NAMES, VALUES))
@settings(max_examples=200, deadline=None)
def test_any_values_under_known_names(variables: dict[str, str]) -> None:
    lines = {"boottime": "1", "interface": "eth0", "ip": "198.51.100.10", **variables}
    understand("action=bound\nend=end\n" + "".join(f"{name}={value}\n" for name, value in lines.items()))
