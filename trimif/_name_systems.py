"""What name translation shares with programs: what they may add to it, and what `getaddrinfo` gives."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from trimif._model import DomainView, IPAddress, TranslationOutcome

__all__ = ["AddressInfo", "NameSystem", "Tell"]

AddressInfo: TypeAlias = tuple[
    socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]
]
"""Family, type, protocol, canonical name, socket address: as :func:`socket.getaddrinfo` gives them."""

Tell: TypeAlias = Callable[[IPAddress], None]
"""Is called with each address as soon as it is known."""


@runtime_checkable
class NameSystem(Protocol):
    """A way to find the addresses of a name that trimif does not know."""

    @property
    def name(self) -> str:
        """What it is called in `TranslateName.systems` and in what is said of it: ``"nis"``."""
        ...

    async def translate(self, domain: DomainView, name: str, tell: Tell) -> TranslationOutcome:
        """Tell the addresses of a name in a domain as they come, and then how it ended.

        What it sends has to leave by the domain's interface (`DomainView.index`) from one of its addresses, as all
        of trimif's own does (law 10). It is cancelled when nobody wants the answer any more, or the domain is gone.
        """
        ...
