"""``python -m tests.fuzz [--seconds N] [--seed N] [NAME …]``: a long campaign over all parsers, or some.

Says of each what was tried and what it costs at worst. What is wrong is printed as octets that Python can read; put
them into ``findings.py``. The exit status is 1 if there is anything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import chain

from .campaign import Campaign, Finding
from .parser import Parser
from .parsers import PARSERS

MEMORY_EVERY = 1000
"""Of one input in so many the memory is measured, which makes it slow."""
ATTACK_OCTETS = (4096, 65536, 1 << 20)
ATTACK_SHARE = 0.4
"""Of a parser's time, at most, goes into inputs as long as can be."""
HEADER = f"{'parser':22}{'inputs':>10}{'good':>7}{'kept':>6}{'slowest':>12}{'octets':>9}{'an octet':>12}{'memory':>9}"


def main(words: list[str] | None = None) -> int:
    """Run it."""
    parse = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Feed every parser what nobody would write."
    )
    parse.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PARSERS))
    parse.add_argument("--seconds", type=float, default=60.0, help="for all of them together")
    parse.add_argument("--seed", type=int, default=int(time.time()), help="of chance; the same one, the same inputs")
    told = parse.parse_args(words)
    if unknown := ", ".join(set(told.names) - PARSERS.keys()):
        parse.error(f"no such parser: {unknown}; there are {', '.join(PARSERS)}")
    chosen = [PARSERS[name] for name in told.names or PARSERS]
    print(f"{len(chosen)} parsers, {told.seconds:g} s, --seed {told.seed}\n{HEADER}", flush=True)
    campaigns = [_run(parser, told.seconds / len(chosen), told.seed) for parser in chosen]
    findings = [finding for campaign in campaigns for finding in campaign.findings.values()]
    print(f"{sum(campaign.tried for campaign in campaigns)} inputs, {len(findings)} findings")
    return 1 if findings else 0


def _run(parser: Parser, seconds: float, seed: int) -> Campaign:
    began = time.monotonic()
    campaign = Campaign.of(parser, seed)
    for octets in _attacks(campaign):
        if time.monotonic() > began + seconds * ATTACK_SHARE:
            break
        campaign.attempt(octets)
    while time.monotonic() < began + seconds:
        campaign.mutate()
        if campaign.tried % MEMORY_EVERY == 0:
            campaign.measure_memory(campaign.latest)
    campaign.measure_memory(campaign.longest[1])
    _tell(campaign)
    return campaign


def _attacks(campaign: Campaign) -> Iterator[bytes]:
    """Without end: each round has other places in good inputs. The sizes take turns."""
    sizes = sorted({min(octets, campaign.parser.largest) for octets in ATTACK_OCTETS})
    while True:
        rounds = [campaign.attacks(size) for size in sizes]
        yield from chain.from_iterable(zip(*rounds, strict=True))


def _tell(campaign: Campaign) -> None:
    seconds, octets = campaign.longest
    print(
        f"{campaign.parser.name:22}{campaign.tried:10}{campaign.values / campaign.tried:7.0%}{campaign.kept:6}"
        f"{seconds * 1000:9.2f} ms{len(octets):9}{campaign.steepest * 1e6:9.2f} µs{campaign.memory:9.0f}",
        flush=True,
    )
    for finding in campaign.findings.values():
        _tell_finding(finding)


def _tell_finding(finding: Finding) -> None:
    text = repr(finding.octets)
    print(f"  {finding.fault}")
    print(f"    ({finding.parser!r}, {text if len(text) < 4000 else f'bytes.fromhex({finding.octets.hex()!r})'})")


if __name__ == "__main__":
    sys.exit(main())
