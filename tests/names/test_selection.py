"""Which names are tried for a name, who may be asked for them, and which servers: against the RFCs' rules."""

from __future__ import annotations

from ipaddress import ip_address

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimif._information import DnsServerSelection
from trimif._model import DomainId, DomainView, IPAddress
from trimif._names._selection import (
    BUILT_IN_SYSTEMS,
    SEARCH_DOMAINS,
    candidate_names,
    covers,
    route_name,
    select_servers,
)


def candidates(name: str, *search_domains: str) -> list[str]:
    return [each.to_text() for each in candidate_names(name, search_domains)]


# ---------------------------------------------------------------- names

SEARCH = ("corp.example", "example.com")


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("www", ["www.corp.example.", "www.example.com.", "www."]),
        ("www.lab", ["www.lab.", "www.lab.corp.example.", "www.lab.example.com."]),
        ("www.example.com.", ["www.example.com."]),
        ("www.", ["www."]),
        ("_sip._tcp", ["_sip._tcp.", "_sip._tcp.corp.example.", "_sip._tcp.example.com."]),
        ("a\\.b", ["a\\.b.corp.example.", "a\\.b.example.com.", "a\\.b."]),  # one label, with a dot in it
        ("42", ["42.corp.example.", "42.example.com."]),  # RFC 1123, 2.1
        ("198.51.100.256", ["198.51.100.256.corp.example.", "198.51.100.256.example.com."]),
        ("", []),
        (".", []),
        ("..", []),
        ("@", []),
        ("a..b", []),
        ("x" * 64, []),
        ("x." * 128, []),
        ("\ud800", []),
        ("\\999", []),
        (("\u00ad" * 400 + "a.") * 3, []),  # IDNA would leave "a.a.a." of it, and take its time over more
    ],
)
def test_names_and_search_domains(name: str, tried: list[str]) -> None:
    assert candidates(name, *SEARCH) == tried


def test_search_domains_are_bounded_and_count_once() -> None:
    many = [f"d{number}.example" for number in range(SEARCH_DOMAINS + 5)]
    assert len(candidates("www", *many)) == SEARCH_DOMAINS + 1
    assert candidates("www", "corp.example", "CORP.example.", "corp.example") == ["www.corp.example.", "www."]


def test_search_domains_that_are_none_are_passed_over() -> None:
    assert candidates("www", "", "a..b", "x" * 300, ".", "corp.example") == ["www.", "www.corp.example."]


def test_what_is_too_long_below_a_search_domain_is_left_out() -> None:
    name = ".".join(["x" * 60] * 4)
    assert candidates(name, "corp.example") == [f"{name}."]


@pytest.mark.parametrize(
    ("name", "as_asked"),
    [
        ("Faß.de", "xn--fa-hia.de."),  # IDNA 2003 made "fass.de" of it
        ("BÜCHER.example", "xn--bcher-kva.example."),
        ("bu\u0308cher.example", "xn--bcher-kva.example."),  # as NFD has it
        ("例え。テスト", "xn--r8jz45g.xn--zckzah."),
        ("例え｡テスト。", "xn--r8jz45g.xn--zckzah."),
        ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv."),  # right to left
        ("نامه\u200cای.example", "xn--mgba3gch31f060k.example."),  # a joiner where the script needs it
        ("ｅｘａｍｐｌｅ．ｃｏｍ", "example.com."),
        ("a\u00adb.example", "ab.example."),  # a soft hyphen is nothing
        ("_sip._tcp.faß.de", "_sip._tcp.xn--fa-hia.de."),
        ("xn--fa-hia.de", "xn--fa-hia.de."),
        ("XN--FA-HIA.DE", "xn--fa-hia.de."),
        ("xn--n3h.example", "xn--n3h.example."),  # a snowman, for those who insist
    ],
)
def test_idna(name: str, as_asked: str) -> None:
    assert [each.canonicalize().to_text() for each in candidate_names(name, ())] == [as_asked]


@pytest.mark.parametrize(
    "name",
    [
        "☃.example",  # RFC 5892: symbols are disallowed
        "i❤.example",
        "\u2488example.com",  # "1." in one character
        "\u2100.example",  # "a/c" likewise
        "a\u200db.example",  # a joiner that joins nothing
        "\u0661a.example",  # RFC 5893: an Arabic digit before a Latin letter
        "אb.example",
        "é" * 70,
        "\u00ad.example",
    ],
)
def test_what_idna_refuses_is_no_name(name: str) -> None:
    assert candidate_names(name, ("corp.example",)) == ()


def test_ideographic_full_stops_are_dots() -> None:
    assert candidates("www。example", "corp.example")[0] == "www.example."
    assert candidates("www。", "corp.example") == ["www."]


texts = st.text(max_size=80) | st.text(st.sampled_from("aB0-_.\\@é。☃\0 "), max_size=30)


@given(texts, st.lists(texts, max_size=20))
def test_any_text_gives_absolute_names_or_none(name: str, search_domains: list[str]) -> None:
    route = route_name(name, search_domains, search_domains)
    names = [each.name for each in route.candidates]
    assert len(names) == len(set(names)) <= SEARCH_DOMAINS + 1
    for each in route.candidates:
        assert each.name.is_absolute()
        assert each.name != dns.name.root
        assert sum(len(label) + 1 for label in each.name.labels) <= 255
        assert each.systems <= route.systems <= BUILT_IN_SYSTEMS


# ---------------------------------------------------------------- systems


def asked(name: str, *search_domains: str, split: tuple[str, ...] = ()) -> dict[str, str]:
    route = route_name(name, search_domains, split)
    return {each.name.to_text(): " ".join(sorted(each.systems)) for each in route.candidates}


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("www.example.org.", {"www.example.org.": "dns hosts"}),
        ("printer", {"printer.corp.example.": "dns hosts", "printer.": "dns hosts llmnr"}),
        ("localhost", {"localhost.": "hosts"}),
        ("www.LocalHost", {"www.LocalHost.": "hosts"}),
        ("a.invalid", {"a.invalid.": "hosts"}),
        ("facebookcorewwwi.onion", {"facebookcorewwwi.onion.": "hosts"}),
        ("a.gns.alt", {"a.gns.alt.": "hosts"}),
        ("printer.local", {"printer.local.": "hosts mdns"}),
        ("local.", {"local.": "hosts mdns"}),
        ("1.1.254.169.in-addr.arpa", {"1.1.254.169.in-addr.arpa.": "hosts mdns"}),
        ("1.0.8.e.f.ip6.arpa.", {"1.0.8.e.f.ip6.arpa.": "hosts mdns"}),
        ("ipv4only.arpa", {"ipv4only.arpa.": "dns"}),
        # not special for a resolver library, whatever they look like
        ("1.0.0.10.in-addr.arpa.", {"1.0.0.10.in-addr.arpa.": "dns hosts"}),
        ("nas.home.arpa.", {"nas.home.arpa.": "dns hosts"}),
        ("a.test.", {"a.test.": "dns hosts"}),
        ("a.internal.", {"a.internal.": "dns hosts"}),
        ("notlocalhost.", {"notlocalhost.": "dns hosts llmnr"}),
        ("local.example.", {"local.example.": "dns hosts"}),
    ],
)
def test_special_names_are_asked_of_whom_their_rfcs_say(name: str, tried: dict[str, str]) -> None:
    assert asked(name, "corp.example") == tried


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "a.invalid", "a.onion", "a.alt", "a.local"])
def test_special_names_are_never_carried_to_a_search_domain(name: str) -> None:
    assert list(asked(name, "corp.example", "example.com")) == [f"{name}."]


def test_the_part_of_local_that_a_network_calls_its_own_is_in_its_dns_too() -> None:
    assert asked("pc.corp.local", "corp.local") == {"pc.corp.local.": "dns hosts mdns"}
    assert asked("pc.corp.local", split=("CORP.local",)) == {"pc.corp.local.": "dns hosts mdns"}
    assert asked("pc.other.local", "corp.local") == {"pc.other.local.": "hosts mdns"}
    assert asked("pc.local", ".", split=(".",)) == {"pc.local.": "hosts mdns"}
    assert asked("pc", "local") == {"pc.local.": "dns hosts mdns", "pc.": "dns hosts llmnr"}


def test_a_search_domain_can_be_special_itself() -> None:
    assert asked("pc", "onion", "invalid") == {"pc.onion.": "hosts", "pc.invalid.": "hosts", "pc.": "dns hosts llmnr"}


def test_a_programs_own_system_may_be_asked_for_anything() -> None:
    (candidate,) = route_name("a.onion").candidates
    assert candidate.may_ask("tor")
    assert candidate.may_ask("hosts")
    assert not candidate.may_ask("dns")
    assert route_name("a.onion").systems == {"hosts"}
    assert route_name("").systems == frozenset()


# ---------------------------------------------------------------- how much a domain says about a name


@pytest.mark.parametrize(
    ("domains", "name", "labels"),
    [
        ([], "www.corp.example.", 0),
        (["corp.example"], "www.corp.example.", 3),
        (["corp.example"], "corp.example.", 3),
        (["CORP.example."], "www.Corp.EXAMPLE.", 3),
        (["corp.example"], "notcorp.example.", 0),
        (["corp.example"], "example.", 0),
        (["example", "lab.corp.example", "corp.example"], "www.lab.corp.example.", 4),
        (["."], "www.corp.example.", 1),
        ([".", "other.example"], "www.corp.example.", 1),
        (["bücher.example"], "www.xn--bcher-kva.example.", 3),
        (["", "a..b", "☃.example", "x" * 2000], "www.corp.example.", 0),
        (["2.0.192.in-addr.arpa"], "33.2.0.192.in-addr.arpa.", 6),  # RFC 6731, 4.2: "networks" are domains too
    ],
)
def test_the_longest_domain_that_has_the_name(domains: list[str], name: str, labels: int) -> None:
    assert covers(domains, dns.name.from_text(name)) == labels


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5), st.integers(1, 4))
def test_every_ending_of_a_name_covers_it_and_the_longest_wins(labels: list[str], shortest: int) -> None:
    endings = [".".join(labels[start:]) for start in range(len(labels))]
    name = dns.name.from_text(endings[0])
    assert [covers([ending], name) for ending in endings] == list(range(len(labels) + 1, 1, -1))
    assert covers(reversed(endings), name) == len(labels) + 1
    assert covers([f"x.{ending}" for ending in endings], name) == 0


# ---------------------------------------------------------------- servers

A, B, C, D = (ip_address(each) for each in ("198.51.100.1", "198.51.100.2", "2001:db8::3", "2001:db8::4"))


def servers_for(
    name: str, *selection: DnsServerSelection, split: tuple[str, ...] = (), trusted: bool = False
) -> list[IPAddress]:
    view = DomainView(
        DomainId("d"), "up-a/ipv4", 7, dns_servers=(A, B, C), split_domains=split, dns_selection=selection
    )
    return list(select_servers(view, dns.name.from_text(name), trusted=trusted))


def test_all_servers_in_their_order_if_nothing_is_told_of_them() -> None:
    assert servers_for("www.example.org.") == [A, B, C]
    assert servers_for("www.example.org.", split=("corp.example",)) == [A, B, C]


def test_servers_for_a_domain_come_first_and_are_not_asked_for_other_names() -> None:
    only_corp = DnsServerSelection(C, 0, ("corp.example",))
    assert servers_for("www.corp.example.", only_corp) == [C, A, B]
    assert servers_for("www.example.org.", only_corp) == [A, B]


def test_the_longest_match_counts_more_than_preference_and_preference_more_than_order() -> None:
    selection = (
        DnsServerSelection(A, 1, ("example", ".")),
        DnsServerSelection(B, -1, ("lab.corp.example",)),
        DnsServerSelection(C, 0, ("example", ".")),
    )
    assert servers_for("www.lab.corp.example.", *selection) == [B, A, C]
    assert servers_for("www.example.", *selection) == [A, C]
    assert servers_for("www.example.org.", *selection) == [A, C]


def test_preference_among_default_servers() -> None:
    # RFC 6731, 4.1: what nothing is told of is of medium preference, and may be default
    assert servers_for("www.", DnsServerSelection(A, -1, (".",)), DnsServerSelection(C, 1, (".",))) == [C, B, A]
    assert servers_for("www.", DnsServerSelection(B, 0, (".",))) == [A, B, C]


def test_what_several_selections_tell_of_one_server_adds_up() -> None:
    selection = (
        DnsServerSelection(A, -1, (".",)),
        DnsServerSelection(A, 1, ("corp.example",)),
        DnsServerSelection(B, 0, ("corp.example", ".")),
    )
    assert servers_for("www.corp.example.", *selection) == [A, B, C]
    assert servers_for("www.example.org.", *selection) == [B, C, A]


def test_if_no_server_may_be_default_all_are_asked() -> None:
    selection = [DnsServerSelection(server, rank - 1, ("corp.example",)) for rank, server in enumerate((A, B, C))]
    assert servers_for("www.example.org.", *selection) == [C, B, A]
    assert servers_for("www.example.org.", DnsServerSelection(A, 1), *selection[1:]) == [A, C, B]


def test_split_domains_are_those_of_the_plain_servers() -> None:
    wide = DnsServerSelection(C, 1, ("example",))
    assert servers_for("www.corp.example.", wide, split=("corp.example",)) == [A, B, C]
    assert servers_for("www.corp.example.", wide) == [C, A, B]


def test_a_selection_brings_in_a_server_only_if_it_can_be_trusted() -> None:
    selection = DnsServerSelection(D, 1, ("corp.example", "."))
    assert servers_for("www.corp.example.", selection) == [A, B, C]
    assert servers_for("www.corp.example.", selection, trusted=True) == [D, A, B, C]
    assert servers_for("www.example.org.", selection, trusted=True) == [D, A, B, C]


@given(
    st.lists(st.sampled_from([A, B, C, D]), max_size=4),
    st.lists(
        st.builds(
            DnsServerSelection,
            st.sampled_from([A, B, C, D]),
            st.sampled_from([-1, 0, 1]),
            st.lists(st.sampled_from([".", "example", "corp.example", "", "other.example"]), max_size=3).map(tuple),
        ),
        max_size=5,
    ),
    st.booleans(),
)
def test_someone_is_always_asked_and_nobody_twice(
    servers: list[IPAddress], selection: list[DnsServerSelection], trusted: bool
) -> None:
    view = DomainView(DomainId("d"), "d", 7, dns_servers=tuple(servers), dns_selection=tuple(selection))
    chosen = select_servers(view, dns.name.from_text("www.corp.example."), trusted=trusted)
    known = {*servers, *(each.server for each in selection if trusted)}
    assert len(chosen) == len(set(chosen))
    assert set(chosen) <= known
    assert bool(chosen) == bool(known)
