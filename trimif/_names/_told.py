"""What was told in a translation so far: each address once, and not too many."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

import trio

from trimif._model import IPAddress, TranslationOutcome

__all__ = ["MOST_ADDRESSES", "Told"]

MOST_ADDRESSES = 64
TRANSLATION_SECONDS = 30.0


class Told:
    """The addresses told so far: each once, `MOST_ADDRESSES` at most; one too many ends the translation.

    Attributes:
        addresses: in the order in which they were told.
        scope: in which the asking is done; it has a deadline.
    """

    def __init__(self, tell: Callable[[IPAddress], None]) -> None:
        self._tell = tell
        self.addresses: dict[IPAddress, None] = {}
        self.scope = trio.CancelScope(deadline=trio.current_time() + TRANSLATION_SECONDS)
        self.truncated = False

    def add(self, address: IPAddress) -> None:
        """Tell it, if it wasn't told yet."""
        if address in self.addresses or self.truncated:
            return
        if len(self.addresses) == MOST_ADDRESSES:
            self.truncated = True
            self.scope.cancel()
            return
        self.addresses[address] = None
        self._tell(address)

    @property
    def ipv4(self) -> list[IPv4Address]:
        """The IPv4 addresses among them."""
        return [each for each in self.addresses if isinstance(each, IPv4Address)]

    @property
    def has_ipv6(self) -> bool:
        """Whether any of them is an IPv6 address."""
        return len(self.ipv4) < len(self.addresses)

    def outcome(self, otherwise: TranslationOutcome) -> TranslationOutcome:
        """How the translation ended."""
        if self.truncated:
            return TranslationOutcome.TRUNCATED
        return TranslationOutcome.ANSWERED if self.addresses else otherwise
