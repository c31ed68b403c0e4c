"""Who does the work of a request inside a domain: what the MIF needs of names and connects, and nothing more.

On a real host they are `trimif._names.NameService` and `trimif._connect.connect`; a simulated host has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from trimif._errors import MalformedInput
from trimif._information import NameServerSaid
from trimif._model import DomainId, DomainView, IPAddress, TranslationOutcome

__all__ = ["Connect", "Names"]


class Names(Protocol):
    """How names are translated."""

    def check_systems(self, systems: Sequence[str]) -> None:
        """Raise ValueError for a name system that is not known."""
        ...

    def forget(self, domain: DomainId) -> None:
        """The domain is gone, and with it all that is remembered of its names. Never blocks."""
        ...

    def forget_all(self) -> None:
        """The MIF is closed, and nothing is translated any more. Never blocks."""
        ...

    async def translate(
        self,
        view: DomainView,
        name: str,
        tell: Callable[[IPAddress], None],
        *,
        systems: Sequence[str] | None,
        note: Callable[[NameServerSaid], None],
        note_malformed: Callable[[MalformedInput], None],
    ) -> TranslationOutcome:
        """Tell the addresses, and what each server said; then say how it ended. Of answers that were none, say so."""
        ...


class Connect(Protocol):
    """How connects are made."""

    async def __call__(
        self, view: DomainView, address: IPAddress, port: int, *, source: IPAddress | None
    ) -> trio.SocketStream:
        """Connect, or raise `ConnectFailed`."""
        ...
