"""What `getaddrinfo` gives, held against the system's own for addresses that need no lookup."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from trimif._names._getaddrinfo import address_infos, literal, port_number, wildcards

KINDS = [0, socket.SOCK_STREAM, socket.SOCK_DGRAM]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "203.0.113.7"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("port", [443, "443", "domain", None])
def test_as_the_system_says(host: str, kind: int, port: int | str | None) -> None:
    system = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    ours = address_infos([ip_address(host)], port, type=kind)
    assert ours == [each for each in system if each[1] != socket.SOCK_RAW]


def test_only_the_family_that_is_asked_for() -> None:
    both = [ip_address("2001:db8::1"), ip_address("203.0.113.7")]
    for family in (socket.AF_INET, socket.AF_INET6):
        assert {each[0] for each in address_infos(both, 80, family=family)} == {family}
    with pytest.raises(socket.gaierror) as caught:
        address_infos(both[:1], 80, family=socket.AF_INET)
    assert caught.value.errno == socket.EAI_ADDRFAMILY


def test_link_local_addresses_have_the_zone_of_their_domain() -> None:
    ((*_, where),) = address_infos([ip_address("fe80::1")], 80, type=socket.SOCK_STREAM, index=7)
    assert where == ("fe80::1", 80, 0, 7)
    ((*_, where),) = address_infos([ip_address("fe80::1%9")], 80, type=socket.SOCK_STREAM, index=7)
    assert where == ("fe80::1", 80, 0, 9)


def test_the_canonical_name_comes_first_and_once() -> None:
    infos = address_infos([ip_address("203.0.113.7"), ip_address("203.0.113.8")], 80, name="www.example.org")
    assert [each[3] for each in infos] == ["www.example.org", "", "", ""]


def test_what_does_not_fit() -> None:
    with pytest.raises(socket.gaierror) as caught:
        address_infos([ip_address("::1")], 80, type=socket.SOCK_STREAM, proto=socket.IPPROTO_UDP)
    assert caught.value.errno == socket.EAI_SOCKTYPE
    with pytest.raises(socket.gaierror, match="there is no service 'nonsense'"):
        port_number("nonsense", 0)


def test_no_host() -> None:
    assert list(map(str, wildcards(socket.AI_PASSIVE))) == ["::", "0.0.0.0"]
    assert list(map(str, wildcards(0))) == ["::1", "127.0.0.1"]


def test_literals() -> None:
    assert literal("fe80::1%eth0") == ip_address("fe80::1%eth0")
    assert literal("www.example.org") is None
