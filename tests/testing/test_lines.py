"""Lines of messages and facts: what is written is what is read, for every class of the vocabulary."""

from __future__ import annotations

import contextlib
import json
import math
import types
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif import _facts, _messages
from trimif._errors import MalformedInput
from trimif._facts import Fact, LinkGone
from trimif._information import Data, Information
from trimif._messages import Announcement, Connected, NoInterfaceAnnouncement, Request, TranslateName
from trimif._model import InterfaceId
from trimif.testing._lines import DATA_TYPES, FactsLine, MessageLine, dump_line, load_line

plain_ids = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False)
ids = st.recursive(plain_ids, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6)
addresses = st.ip_addresses()
names = st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9}){0,3}", fullmatch=True)
data = addresses | st.tuples(addresses, addresses) | st.tuples(st.text()) | st.integers() | st.floats(allow_nan=False)

networks = {
    IPv4Network: st.builds(lambda a: IPv4Network(f"{a}/24", strict=False), st.ip_addresses(v=4)),
    IPv6Network: st.builds(lambda a: IPv6Network(f"{a}/64", strict=False), st.ip_addresses(v=6)),
}
for kind, strategy in networks.items():
    st.register_type_strategy(kind, strategy)
st.register_type_strategy(IPv4Address, st.ip_addresses(v=4))
st.register_type_strategy(IPv6Address, st.ip_addresses(v=6))

st.register_type_strategy(float, st.integers(0, 9) | st.floats(allow_nan=False))

SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "translation_id": ids,
    "connection_id": ids,
    "information": st.sampled_from(Information.all()),
    "data": data,
    "port": st.integers(1, 65535),
    "systems": st.none() | st.tuples(st.sampled_from(["hosts", "dns", "mdns"])),
}


def build(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a class: the type hints say which, but for ids, data, ports and names."""
    if kind is Connected:
        return st.builds(Connected, ids, st.none())
    if kind is Information:
        return st.sampled_from(Information.all())
    special = SPECIAL if kind.__module__ == _messages.__name__ else {}
    fields = {name: special[name] if name in special else of_type(hint) for name, hint in get_type_hints(kind).items()}
    if kind is TranslateName:
        fields["name"] = names
    return st.builds(kind, **fields)


def data_of_facts() -> st.SearchStrategy[Any]:
    """An identifier, with a datum of its type."""
    return st.sampled_from(Information.all()).flatmap(
        lambda information: st.tuples(st.just(information), of_type(DATA_TYPES[information]))
    )


def of_type(hint: Any) -> st.SearchStrategy[Any]:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if hint == Data:
        return st.lists(data_of_facts(), max_size=2).map(tuple)
    if hint is Any or isinstance(hint, TypeVar):
        return data
    if kind in (Union, types.UnionType):
        return st.one_of(*map(of_type, inner))
    if kind is tuple and inner[-1] is not Ellipsis:
        return st.tuples(*map(of_type, inner))
    if kind is tuple:
        return st.lists(of_type(inner[0]), max_size=3).map(tuple)
    if attrs.has(kind):
        return st.deferred(lambda: build(kind))
    return st.from_type(hint)


def classes(alias: Any) -> list[type[Any]]:
    return sorted({getattr(each, "__origin__", each) for each in get_args(alias)}, key=lambda each: each.__name__)


FACTS, MESSAGES = classes(Fact), classes(Request | Announcement)


def test_every_message_and_fact_is_covered() -> None:
    public = {
        value for value in vars(_messages).values() if attrs.has(value) and value.__module__ == _messages.__name__
    }
    assert set(MESSAGES) == public
    assert {each.__name__ for each in FACTS} < set(_facts.__all__)


@given(st.data(), st.sampled_from(MESSAGES), st.floats(allow_nan=False, allow_infinity=False))
def test_a_message_comes_back_equal(draw: st.DataObject, kind: type[Any], time: float) -> None:
    line = MessageLine(time, draw.draw(build(kind)))
    text = dump_line(line)
    assert load_line(text) == line
    assert text.isascii()
    assert "\n" not in text


@given(st.data(), st.lists(st.sampled_from(FACTS), max_size=4))
def test_facts_come_back_equal(draw: st.DataObject, kinds: list[type[Any]]) -> None:
    line = FactsLine(1.5, tuple(draw.draw(build(kind)) for kind in kinds))
    back = load_line(dump_line(line))
    assert back == line
    assert repr(back) == repr(line)  # also what equality overlooks: whether a 1 is an int, a float or an enumeration


def test_a_line_is_readable() -> None:
    line = MessageLine(2.5, NoInterfaceAnnouncement(InterfaceId("interface-1")))
    assert json.loads(dump_line(line)) == {
        "time": 2.5,
        "message": {"NoInterfaceAnnouncement": {"interface": {"InterfaceId": {"token": "interface-1"}}}},
    }


def test_a_stream_is_left_out() -> None:
    class Stream:
        pass

    line = MessageLine(0.0, Connected("first", Stream()))  # type: ignore[arg-type]
    back = load_line(dump_line(line))
    assert back == line
    assert isinstance(back, MessageLine)
    assert isinstance(back.message, Connected)
    assert back.message.stream is None


def test_an_id_that_cannot_be_written_is_named() -> None:
    with pytest.raises(TypeError, match="object object"):
        dump_line(MessageLine(0.0, _messages.StopConnecting(object())))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"time": 1}',
        '{"time": 1, "facts": {}}',
        '{"time": "soon", "facts": []}',
        '{"time": true, "facts": []}',
        '{"time": NaN, "facts": []}',
        '{"time": 1, "facts": [], "message": null}',
        '{"time": 1, "message": null}',
        '{"time": 1, "message": {"LinkGone": {"index": 1}}}',
        '{"time": 1, "facts": [{"AnnounceInterfaces": {}}]}',
        '{"time": 1, "facts": [{"LinkGone": {}}]}',
        '{"time": 1, "facts": [{"LinkGone": {"index": 1, "name": "eth0"}}]}',
        '{"time": 1, "facts": [{"LinkGone": {"index": [1]}}]}',
        '{"time": 1, "facts": [{"LinkGone": {"index": "1"}}]}',
        '{"time": 1, "facts": [{"LinkGone": {"index": null}}]}',
        '{"time": 1, "facts": [{"os.system": "true"}]}',
        '{"time": 1, "facts": [{"Path": "/etc/passwd"}]}',
        '{"time": 1, "facts": [{"LinkGone": {"index": 1}, "AnnounceInterfaces": {}}]}',
        '{"time": 1, "message": {"AnnounceProvisioningDomain": {"interface": "eth0"}}}',
        '{"time": 1, "message": {"GetConfigurationData": {"domain": {"DomainId": {"token": "x"}}, '
        '"element": {"ElementType": "CARRIER_PIGEON"}, "information": {"Information": "DNS_SERVERS"}}}}',
        '{"time": 1, "facts": ' + "[" * 100_000,
        '{"time": 1, "facts": [{"LinkGone": {"index": ' + "9" * 10_000 + "}}]}",
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(MalformedInput):
        load_line(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text()
            | st.sampled_from(["tuple", "float", "bytes", "IPv4Address", "LinkGone", "Information", "Family"]),
            inner,
            max_size=2,
        )
    ),
)


@given(json_values)
def test_any_json_is_read_or_malformed(value: Any) -> None:
    with contextlib.suppress(MalformedInput):
        load_line(json.dumps({"time": 1.0, "facts": [value]}))


@given(st.text())
def test_any_text_is_read_or_malformed(text: str) -> None:
    with pytest.raises(MalformedInput):
        load_line(text)


def test_for_ever_comes_back() -> None:
    fact = _facts.AddressFact(1, IPv4Address("198.51.100.7"), 24, math.inf, math.inf)
    assert load_line(dump_line(FactsLine(0.0, (fact, LinkGone(2))))) == FactsLine(0.0, (fact, LinkGone(2)))
