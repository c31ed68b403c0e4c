"""The fuzzer itself: it finds what is wrong with parsers that were made to have something wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from trimif._errors import MalformedInput
from trimif._information import Data, EncryptedDnsServer, Information

from . import checks
from .__main__ import main
from .campaign import Campaign
from .checks import fits
from .parser import Parser
from .parsers import PARSERS

OCTETS = 8192
SEED = b"\4abcd\2xy\0"


def good(octets: bytes) -> tuple[bytes, ...]:
    pieces, offset = [], 0
    while offset < len(octets) and octets[offset]:
        piece = octets[offset + 1 : offset + 1 + octets[offset]]
        if len(piece) < octets[offset]:
            raise MalformedInput("cut short")
        pieces.append(piece)
        offset += 1 + len(piece)
    return tuple(pieces)


def encode(pieces: tuple[bytes, ...]) -> bytes:
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def forgets_the_end(octets: bytes) -> tuple[bytes, ...]:
    return (*good(octets), octets[-1:]) if octets[octets[0]] else ()


def wrong_type(octets: bytes) -> tuple[str, ...]:
    return tuple(piece.hex() if len(piece) < 5 else piece for piece in good(octets))  # type: ignore[misc]


def forgetful(octets: bytes) -> tuple[bytes, ...]:
    return tuple(piece.rstrip(b"\0") for piece in good(octets))


def squared(octets: bytes) -> bool:
    return re.fullmatch(rb"[ab]*[ac]*[de]", octets) is not None


def endless(octets: bytes) -> bool:
    while octets[:1] == b"\xff":
        octets = octets[:]
    return True


def huge(octets: bytes) -> bytes:
    return bytes(1000 * len(octets))


def campaign(parse: Callable[[bytes], Any], **more: Any) -> Campaign:
    return Campaign.of(Parser(parse, (SEED, SEED + SEED), OCTETS, **more))


def run(parse: Callable[[bytes], Any], **more: Any) -> str:
    """What it finds, in words."""
    tried = campaign(parse, **more)
    for _ in range(300):
        tried.mutate()
    for octets in tried.attacks(OCTETS):
        tried.attempt(octets)
    tried.measure_memory(tried.longest[1])
    return " ".join(finding.fault for finding in tried.findings.values())


def test_nothing_is_wrong() -> None:
    assert run(good, again=lambda pieces: good(encode(pieces)) == pieces) == ""


def test_another_error_than_the_documented_one() -> None:
    assert "IndexError" in run(forgets_the_end)
    assert "MalformedInput" in run(good, errors=())


def test_another_type_than_the_declared_one() -> None:
    assert "returns" in run(wrong_type)


def test_not_said_again() -> None:
    assert "otherwise" in run(forgetful, again=lambda pieces: good(encode(pieces)) == good(SEED) or len(pieces) > 1)
    assert "can't be said" in run(good, again=lambda pieces: bool(pieces[1]))


def test_slow() -> None:
    tried = campaign(squared)
    tried.attempt(b"a" * OCTETS)
    assert [f"s for {OCTETS} octets" in finding.fault for finding in tried.findings.values()] == [True]


def test_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "HOPELESS_SECONDS", 0.2)
    tried = campaign(endless)
    tried.attempt(b"\xff")
    assert any("no end" in finding.fault for finding in tried.findings.values())


def test_large() -> None:
    assert "octets of memory" in run(huge)


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(PARSERS, "broken", Parser(forgets_the_end, (SEED,), OCTETS))
    assert main(["--seconds", "0.2", "--seed", "1", "time_span"]) == 0
    assert "0 findings" in capsys.readouterr().out
    assert main(["--seconds", "0.2", "--seed", "1", "broken"]) == 1
    assert "raises IndexError" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["no_parser"])
    assert "no such parser: no_parser" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_inputs() -> None:
    one, same, other = (Campaign.of(Parser(good, (SEED,), 4096), seed) for seed in (1, 1, 2))
    latest: list[list[bytes]] = [[], [], []]
    for found, tried in zip(latest, (one, same, other), strict=True):
        for _ in range(50):
            tried.mutate()
            found.append(tried.latest)
    assert latest[0] == latest[1] != latest[2]


def test_what_leads_somewhere_new_is_kept() -> None:
    tried = campaign(good)
    for _ in range(300):
        tried.mutate()
    assert tried.kept > len(tried.parser.seeds)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (True, int),
        (float("nan"), float),
        ("\ud800", str),
        ((1,), tuple[str, ...]),
        ((1, 2), tuple[int]),
        ({1: "a"}, dict[int, int]),
        (EncryptedDnsServer(1, "a.example", port=0), EncryptedDnsServer),
        (EncryptedDnsServer(1, "a.example", ("::1",)), EncryptedDnsServer),  # type: ignore[arg-type]
        (((Information.METERED, 1),), Data),
        (((Information.METERED, True), (Information.METERED, True)), Data),
    ],
)
def test_what_does_not_fit(value: object, hint: object) -> None:
    assert not fits(value, hint)
