"""The vocabulary: values that compare, read well, and refuse what is ill-formed where it is built."""

from __future__ import annotations

import pickle
from ipaddress import ip_address, ip_network
from typing import Any, get_args

import pytest
from attrs import fields, has
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

import trimif
from trimif import (
    AnnounceAddress,
    Announcement,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    DomainId,
    ElementType,
    GetConfigurationData,
    Information,
    InterfaceId,
    Origin,
    Request,
    Route,
    TranslateName,
)
from trimif._messages import News, Withdrawal

DOMAIN = DomainId("d1")


def test_messages_are_values() -> None:
    one, other = (ConnectToAddress(DOMAIN, "203.0.113.1", 80, "mine") for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one.address == ip_address("203.0.113.1")
    assert repr(AnnounceAddress(DOMAIN)) == "AnnounceAddress(domain=DomainId('d1'), lifetimes=False)"
    with pytest.raises(FrozenInstanceError):
        one.port = 81  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize("union", [Request, Announcement, News, Withdrawal])
def test_every_message_is_a_frozen_documented_value(union: Any) -> None:
    for each in get_args(union):
        kind = getattr(each, "__origin__", each)
        assert has(kind)
        assert kind.__doc__
        assert getattr(trimif, kind.__name__) is kind
        assert all(field.hash is not False for field in fields(kind))


@pytest.mark.parametrize("value", ["", "hello", "300.1.1.1", "1.2.3.4/24", None, b"abc", 2**200])
def test_what_is_no_address_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match="is not an IPv4 or IPv6 address, for example"):
        ConnectToAddress(DOMAIN, value, 80, 1)
    with pytest.raises(ValueError, match="is not an IPv4 or IPv6 address, for example"):
        ConnectToAddressFromAddress(DOMAIN, value, "203.0.113.1", 80, 1)


@pytest.mark.parametrize("port", [0, -1, 65536, "80", None, True, 80.0])
def test_what_is_no_port_is_named(port: Any) -> None:
    with pytest.raises(ValueError, match="is not a TCP port: an integer from 1 to 65535"):
        ConnectToAddress(DOMAIN, "203.0.113.1", port, 1)


@pytest.mark.parametrize(
    "name", ["", ".", "a b", "a..b", ".a", "a\nb", "\x1b[2J", "x" * 64 + ".org", "a." * 127 + "a", "\ud800"]
)
def test_what_is_no_name_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a network node"):
        TranslateName(DOMAIN, name, 1)


@pytest.mark.parametrize(
    "name", ["www.example.org", "localhost", "www.example.org.", "bücher.example", "_srv._tcp.a", "x" * 63]
)
def test_names_are_taken_as_they_are(name: str) -> None:
    assert TranslateName(DOMAIN, name, 1).name == name


@given(st.text())
def test_any_text_is_a_name_or_a_clear_error(name: str) -> None:
    try:
        TranslateName(DOMAIN, name, 1)
    except ValueError as caught:
        error = caught
    else:
        return
    assert repr(name) in str(error)


def test_ids_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="domain"):
        AnnounceAddress("eth0/ipv4")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="domain"):
        AnnounceAddress(InterfaceId("i1"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not hashable"):
        TranslateName(DOMAIN, "a.example", [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name 5"):
        TranslateName(DOMAIN, 5, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="element"):
        GetConfigurationData(DOMAIN, "ra", Information.MTU)  # type: ignore[arg-type]


def test_information_identifiers_can_be_listed_and_named() -> None:
    assert Information.DNS_SERVERS in Information.all()
    assert Information.named("MTU") is Information.MTU
    with pytest.raises(ValueError, match="'COLOUR'; there are DNS_SERVERS"):
        Information.named("COLOUR")


def test_reprs_read_well() -> None:
    assert repr(ElementType.RA) == "ElementType.RA"
    assert repr(Information.DNS_SERVERS) == "Information.DNS_SERVERS"
    assert str(Origin("dhclient", ip_address("198.51.100.1"))) == "dhclient from 198.51.100.1"
    assert str(Route(ip_network("::/0"), ip_address("fe80::1"))) == "::/0 via fe80::1"


def test_systems_are_names_in_an_order() -> None:
    assert TranslateName(DomainId("d"), "www.example.org", 1, ["dns"]).systems == ("dns",)
    with pytest.raises(TypeError, match=r"systems is 'dns'; give the names of name systems in their order"):
        TranslateName(DomainId("d"), "www.example.org", 1, "dns")
