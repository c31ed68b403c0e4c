"""The name systems and their order.

The draft names DNS, mDNS, NIS and others, and leaves open which are asked. Here the program says it: for all of a MIF
(``open_mif(name_systems=…)``), or for one name (`TranslateName.systems`).
"""

from __future__ import annotations

from trimif._names._selection import DNS, HOSTS, LLMNR, MDNS

__all__ = ["BUILT_IN", "check_order"]

BUILT_IN = (HOSTS, DNS, MDNS, LLMNR)
"""Those that trimif has, in the order in which they are asked if nobody says otherwise."""


def check_order(order: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raise ValueError for a system that is not known."""
    for each in order:
        if each not in known:
            raise ValueError(f"there is no name system {each!r}; there are {', '.join(map(repr, known))}")
