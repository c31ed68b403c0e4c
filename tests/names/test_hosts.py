"""The local host table: what is in it, what needs none, and when it is read again."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._names import _hosts
from trimif._names._hosts import LOCALHOST, local_addresses, parse_hosts

FILE = """\
127.0.0.1\tlocalhost
# 203.0.113.1 commented
203.0.113.2 Printer.Example printer  # the one upstairs
2001:db8::2 printer
203.0.113.2 printer
203.0.113.3
not-an-address x
fe80::1%eth0 router\r
\t 203.0.113.4   b\xfccher \u200b

203.0.113.5 b\xfccher
"""


def addresses(*texts: str) -> tuple[object, ...]:
    return tuple(map(ip_address, texts))


def test_the_table() -> None:
    table = parse_hosts(FILE.encode())
    assert table["printer"] == addresses("203.0.113.2", "2001:db8::2")  # each once, in the file's order
    assert table["printer.example"] == addresses("203.0.113.2")
    assert table["router"] == addresses("fe80::1%eth0")
    assert table["bücher"] == addresses("203.0.113.4", "203.0.113.5")
    assert "commented" not in table
    assert "x" not in table
    assert "the" not in table


def test_other_encodings_spoil_their_own_line_only() -> None:
    assert parse_hosts(b"203.0.113.4 b\xfccher\n203.0.113.2 printer\n")["printer"] == addresses("203.0.113.2")


@given(st.binary())
def test_any_octets_are_read(octets: bytes) -> None:
    for found in parse_hosts(octets).values():
        assert found


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9.-]{0,20}[a-z]", fullmatch=True), st.ip_addresses(), max_size=5))
def test_what_is_written_is_read(table: dict[str, object]) -> None:
    text = "".join(f"{address}\t{name.upper()}\n" for name, address in table.items())
    assert parse_hosts(text.encode()) == {name: (address,) for name, address in table.items()}


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "a.b.localhost"])
def test_localhost_needs_no_table(name: str, tmp_path: Path) -> None:
    assert local_addresses(name, str(tmp_path / "none")) == LOCALHOST


def test_localhost_as_the_table_has_it(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.7 localhost\n")
    assert local_addresses("localhost", str(hosts)) == addresses("127.0.0.7")
    assert local_addresses("notlocalhost", str(hosts)) == ()


@pytest.mark.parametrize("text", ["198.51.100.7", "2001:db8::7", "fe80::7%eth0"])
def test_an_address_is_its_own_translation(text: str) -> None:
    assert local_addresses(text) == addresses(text)


def test_it_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def parse(octets: bytes) -> _hosts.HostTable:
        parsed.append(octets)
        return parse_hosts(octets)

    monkeypatch.setattr(_hosts, "parse_hosts", parse)
    hosts = tmp_path / "hosts"
    hosts.write_text("203.0.113.2 printer\n")
    for _ in range(3):
        assert local_addresses("printer", str(hosts)) == addresses("203.0.113.2")
    assert len(parsed) == 1
    other = tmp_path / "other"
    other.write_text("203.0.113.3 printer\n")
    os.utime(other, ns=(hosts.stat().st_atime_ns, hosts.stat().st_mtime_ns))
    other.rename(hosts)  # as editors do: same path, size and time, another file
    assert local_addresses("printer", str(hosts)) == addresses("203.0.113.3")
    hosts.unlink()
    assert local_addresses("printer", str(hosts)) == ()


def test_a_table_that_can_not_be_read_is_empty(tmp_path: Path) -> None:
    assert local_addresses("printer", str(tmp_path)) == ()
