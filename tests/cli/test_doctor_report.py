"""How ``trimif doctor`` says what it found: to people, in a pipe, without UTF-8, and to programs."""

from __future__ import annotations

import io
import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trimif import Limitation
from trimif.cli._doctor._checks import CHECKS, diagnose
from trimif.cli._doctor._picture import Picture, Topic, Unseen
from trimif.cli._doctor._report import exit_code, print_report, to_json

from .doctor_pictures import HEALTHY, with_interface, with_resolver, with_settings, without_routes

NOTED = evolve(HEALTHY, limitations=(Limitation("router advertisements", "those on the wire", "run it as root"),))
ILL = with_resolver(without_routes(NOTED, "up-b"), "203.0.113.9")


def printed(picture: Picture, *, encoding: str = "utf-8", width: int = 1000) -> list[str]:
    octets = io.BytesIO()
    file = io.TextIOWrapper(octets, encoding=encoding, errors="backslashreplace")
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    print_report(console, diagnose(picture), picture.unseen)
    file.flush()
    return [line.rstrip() for line in octets.getvalue().decode(encoding).splitlines()]


def test_all_is_well_is_said_with_what_was_checked() -> None:
    lines = printed(HEALTHY)
    assert lines[-1] == "All is well"
    assert [line.split()[0] for line in lines[: len(CHECKS)]] == ["✓"] * len(CHECKS)
    for check, line in zip(CHECKS, lines, strict=False):
        assert check.name in line
        assert line.endswith(check.good)


def test_findings_come_from_the_worst_on_with_reason_and_remedy() -> None:
    lines = printed(ILL)
    assert lines[len(CHECKS) + 1 :] == [
        "✗ up-b/ipv4: has the address 198.51.100.70/26, but no route at all leads out of up-b.",
        "  Nothing can be reached through this network, not even its own link.",
        "  Remedy: ip route add 198.51.100.64/26 dev up-b src 198.51.100.70",
        "",
        "! /etc/resolv.conf: lists the name server 203.0.113.9, which no provisioning domain has.",
        "  It is left over from a network that is gone, or was set by hand: it says nothing of which network to ask it "
        "through, and networks' own servers are passed over for it.",
        r"  Remedy: sed -i '/^nameserver[[:space:]]*203\.0\.113\.9/d' /etc/resolv.conf",
        "",
        "· router advertisements: not seen: those on the wire.",
        "  What is not seen is not announced to programs.",
        "  Remedy: run it as root",
        "",
        "1 problem, 1 warning, 1 note",
    ]
    assert "✗ routes                 problem: up-b/ipv4" in lines


def test_a_remedy_stays_on_one_line_in_a_narrow_terminal() -> None:
    lines = printed(ILL, width=40)
    assert any(line.endswith("dev up-b src 198.51.100.70") and "Remedy: ip route add" in line for line in lines)
    assert max(len(line) for line in lines if "Remedy" not in line) <= 40


def test_without_utf_8_there_are_words() -> None:
    lines = printed(ILL, encoding="ascii")
    assert not any("\\u" in line for line in lines)
    assert lines[0].split()[0] == "ok"
    assert [line[0] for line in lines if line.startswith(("X up-b", "! /", "- router"))] == ["X", "!", "-"]


def test_what_was_not_looked_at_is_said() -> None:
    blind = evolve(HEALTHY, unseen=(Unseen(Topic.PROCESSES, "other users' processes are hidden"),))
    lines = printed(blind)
    assert "? two programs           can't tell without running programs" in lines
    assert "Not looked at: running programs: other users' processes are hidden" in lines
    told = to_json(diagnose(blind), blind.unseen)
    assert "two programs" not in told["checked"]
    assert told["not_checked"] == [{"check": "two programs", "without": ["running programs"]}]
    assert told["unseen"] == [{"what": "running programs", "why": "other users' processes are hidden"}]


@pytest.mark.parametrize(
    ("picture", "code"),
    [(HEALTHY, 0), (NOTED, 0), (with_resolver(HEALTHY), 1), (with_interface(HEALTHY, "lo", up=False), 1), (ILL, 1)],
)
def test_the_exit_code_is_0_if_nothing_is_worse_than_a_note(picture: Picture, code: int) -> None:
    assert exit_code(diagnose(picture)) == code


def test_programs_are_told_the_same() -> None:
    told = to_json(diagnose(ILL), ILL.unseen)
    assert [(each["check"], each["severity"], each["subject"]) for each in told["findings"]] == [
        ("routes", "problem", "up-b/ipv4"),
        ("stale name servers", "warning", "/etc/resolv.conf"),
        ("privileges", "note", "router advertisements"),
    ]
    assert told["findings"][0]["remedy"] == "ip route add 198.51.100.64/26 dev up-b src 198.51.100.70"
    assert told["checked"] == [check.name for check in CHECKS]


@given(
    st.text(st.characters(codec="utf-8"), min_size=1)
    | st.sampled_from(["[bold red]x[/]", "\x1b[2J", ":smile:", "a\nb", "\u202e"])
)
def test_nobody_can_steer_the_terminal(text: str) -> None:
    """A limitation quotes file names and errors, an interface can be called anything."""
    picture = evolve(HEALTHY, limitations=(Limitation(text, text, text),))
    lines = printed(picture)
    assert all(line.isprintable() for line in lines)
    assert len(lines) == len(CHECKS) + 6
    json.dumps(to_json(diagnose(picture), ()))


def test_markup_is_shown_as_it_is() -> None:
    picture = evolve(HEALTHY, limitations=(Limitation("[bold red]x[/]", ":smile:", "[dim]y"),))
    text = "\n".join(printed(picture))
    assert "· [bold red]x[/]: not seen: :smile:." in text
    assert "Remedy: [dim]y" in text


def test_a_setting_that_is_fine_again_is_no_finding() -> None:
    strict = with_settings(HEALTHY, "up-b", rp_filter=1)
    assert exit_code(diagnose(strict)) == 1
    assert exit_code(diagnose(with_settings(strict, "up-b", rp_filter=2))) == 0
