"""One translation by a service of its own, that asks the hosts file and the DNS and remembers nothing."""

from __future__ import annotations

from collections.abc import Callable

from trimif._errors import MalformedInput
from trimif._information import NameServerSaid
from trimif._model import DomainView, IPAddress, TranslationOutcome
from trimif._names import NameService


async def translate(
    view: DomainView,
    name: str,
    tell: Callable[[IPAddress], None],
    *,
    hosts: str,
    note: Callable[[NameServerSaid], None] = lambda said: None,
    note_malformed: Callable[[MalformedInput], None] = lambda malformed: None,
) -> TranslationOutcome:
    """Find the addresses of a name in a domain."""
    service = NameService(("hosts", "dns"), hosts=hosts)
    return await service.translate(view, name, tell, note=note, note_malformed=note_malformed)
