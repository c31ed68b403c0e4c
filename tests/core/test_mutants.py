"""Each law has a mutant of the core that breaks only this law, and the random histories catch it.

A mutant is one small thing done wrong. It is caught when the first breach that histories show is one of the mutant's
law, and hardly any shows a breach of another law first: so the checks are neither blind nor blurred.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TypeAlias, get_args

import pytest

from trimif import _messages as m
from trimif._core import _core, _difference, _interfaces, _mailbox
from trimif._core._core import Core
from trimif._core._interfaces import Interface
from trimif._core._mailbox import Mailbox
from trimif._model import InterfaceId
from trimif.testing._laws import LawBroken

from .story import tell

Mutant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
HISTORIES = 120
BLURRED = 20
"""One history in so many may see another law broken first: what is left over after a Stop, say, is later withdrawn too
late."""
STEPS = 120


def children_are_told_before_their_parents(patch: pytest.MonkeyPatch) -> None:
    honest = Interface._table

    def mutant(self: Interface) -> Any:
        return dict(reversed(honest(self).items()))

    patch.setattr(Interface, "_table", mutant)


def parents_are_withdrawn_before_their_children(patch: pytest.MonkeyPatch) -> None:
    honest = _difference._withdrawals
    patch.setattr(_difference, "_withdrawals", lambda lost: reversed(list(honest(lost))))


def last_words_come_after_the_withdrawals(patch: pytest.MonkeyPatch) -> None:
    honest_words, honest_forget = Core._last_words, Core._forget_domain
    patch.setattr(Core, "_last_words", lambda self, interface, domain: None)

    def mutant(self: Core, domain: Any, reason: str) -> None:
        honest_words(self, self._domains[domain][0], domain)
        honest_forget(self, domain, reason)

    patch.setattr(Core, "_forget_domain", mutant)


def what_is_the_same_is_told_again(patch: pytest.MonkeyPatch) -> None:
    def mutant(interface: InterfaceId, told: Any, present: Any) -> Any:
        yield from _difference.difference(interface, told, {key: told[key] for key in told if key in present})
        yield from _difference.difference(interface, {}, present)

    patch.setattr(_mailbox, "difference", mutant)
    patch.setattr(_interfaces, "difference", mutant)


def withdrawals_are_not_counted_as_told(patch: pytest.MonkeyPatch) -> None:
    honest = Mailbox._count

    def mutant(self: Mailbox, change: Any) -> Any:
        return change.message if isinstance(change.message, _mailbox.WITHDRAWALS) else honest(self, change)

    patch.setattr(Mailbox, "_count", mutant)


def catching_up_overlooks_changed_elements(patch: pytest.MonkeyPatch) -> None:
    honest = _difference.difference

    def mutant(interface: InterfaceId, told: Any, present: Any) -> Any:
        for change in honest(interface, told, present):
            if not isinstance(change.message, m.ConfigurationElementAnnouncement) or change.key not in told:
                yield change

    patch.setattr(_mailbox, "difference", mutant)


def what_expires_is_not_withdrawn(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Core, "advance", lambda self, now: self._take_effects())


def queued_news_survive_a_stop(patch: pytest.MonkeyPatch) -> None:
    honest = Mailbox._drop

    def mutant(self: Mailbox, unwanted: Callable[[m.Announcement], bool]) -> Any:
        return honest(self, lambda message: not isinstance(message, get_args(m.News)) and unwanted(message))

    patch.setattr(Mailbox, "_drop", mutant)


def failures_of_connects_survive_a_stop(patch: pytest.MonkeyPatch) -> None:
    honest = Mailbox.withdraw

    def mutant(self: Mailbox, key: Any) -> list[Any]:
        failures = [
            entry for entry in self._queue if isinstance(entry, m.NotConnected) and entry.connection_id == key[1]
        ]
        discarded = honest(self, key)
        self._queue.extend(failures if key[0] == "connect" else [])
        return discarded

    def settle(self: Mailbox, message: Any) -> None:
        for kind, name in (("translation", "translation_id"), ("connect", "connection_id")):
            if not isinstance(message, m.NameTranslation):
                self.outstanding.pop((kind, getattr(message, name, None)), None)
        if isinstance(message, m.ConfigurationData | m.NoConfigurationData):
            self._unread_data -= 1

    patch.setattr(Mailbox, "withdraw", mutant)
    patch.setattr(Mailbox, "_settle", settle)


def data_overtake_news(patch: pytest.MonkeyPatch) -> None:
    honest = Mailbox.answer

    def mutant(self: Mailbox, message: Any) -> None:
        honest(self, message)
        if isinstance(message, m.ConfigurationData | m.NoConfigurationData):
            self._queue.rotate(1)

    patch.setattr(Mailbox, "answer", mutant)


def the_buffer_has_no_bound(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Mailbox, interface: InterfaceId, changes: Any) -> None:
        if interface not in self._behind:
            wanted = list(filter(self._wants, changes))
            self._queue.extend(wanted)
            self._singles += len(wanted)

    patch.setattr(Mailbox, "offer", mutant)


def a_full_buffer_drops_answers(patch: pytest.MonkeyPatch) -> None:
    honest = Mailbox._fall_behind

    def mutant(self: Mailbox, interface: InterfaceId, more: int) -> None:
        self._queue = deque(e for e in self._queue if not isinstance(e, m.NameTranslation))
        honest(self, interface, more)

    patch.setattr(Mailbox, "_fall_behind", mutant)


def work_goes_on_in_a_lost_domain(patch: pytest.MonkeyPatch) -> None:
    honest = Core._forget_domain

    def mutant(self: Core, domain: Any, reason: str) -> None:
        honest(self, domain, reason)
        self._effects.pop()

    patch.setattr(Core, "_forget_domain", mutant)


def unreceived_connections_stay_open(patch: pytest.MonkeyPatch) -> None:
    honest = Mailbox.withdraw

    def mutant(self: Mailbox, key: Any) -> list[m.Connected]:
        honest(self, key)
        return []

    patch.setattr(Mailbox, "withdraw", mutant)


def ids_are_made_of_indexes(patch: pytest.MonkeyPatch) -> None:
    first: dict[int, InterfaceId] = {}

    def mutant(id: InterfaceId, link: Any, details: Any) -> Interface:
        if id.token == "test-i1":  # a new core
            first.clear()
        return Interface(first.setdefault(link.index, id), link, details)

    patch.setattr(_core, "Interface", mutant)


def lookups_get_the_servers_of_every_domain(patch: pytest.MonkeyPatch) -> None:
    honest = Core.view

    def mutant(self: Core, domain: Any, now: float) -> Any:
        view = honest(self, domain, now)
        if view is None:
            return None
        views = [interface.view(each, now) for interface, each in self._domains.values()]
        servers = tuple(dict.fromkeys(server for each in views for server in each.dns_servers))
        return _evolved(view, dns_servers=servers)

    patch.setattr(Core, "view", mutant)


def sockets_are_bound_to_another_interface(patch: pytest.MonkeyPatch) -> None:
    honest = Core.view
    patch.setattr(Core, "view", lambda self, domain, now: _evolved(honest(self, domain, now), index=2))


def _evolved(view: Any, **changes: Any) -> Any:
    from attrs import evolve

    return None if view is None else evolve(view, **changes)


MUTANTS: list[tuple[int, Mutant]] = [
    (1, children_are_told_before_their_parents),
    (2, parents_are_withdrawn_before_their_children),
    (2, last_words_come_after_the_withdrawals),
    (3, what_is_the_same_is_told_again),
    (3, withdrawals_are_not_counted_as_told),
    (4, catching_up_overlooks_changed_elements),
    (4, what_expires_is_not_withdrawn),
    (5, queued_news_survive_a_stop),
    (5, failures_of_connects_survive_a_stop),
    (6, data_overtake_news),
    (7, the_buffer_has_no_bound),
    (7, a_full_buffer_drops_answers),
    (8, work_goes_on_in_a_lost_domain),
    (8, unreceived_connections_stay_open),
    (9, ids_are_made_of_indexes),
    (10, lookups_get_the_servers_of_every_domain),
    (10, sockets_are_bound_to_another_interface),
]


def breaches() -> Counter[int]:
    """The laws that are broken first, over many histories."""
    found: Counter[int] = Counter()
    for seed in range(HISTORIES):
        try:
            tell(random.Random(seed), STEPS)
        except LawBroken as broken:
            found[broken.law] += 1
    return found


def test_the_core_itself_is_not_caught() -> None:
    assert breaches() == Counter()


@pytest.mark.parametrize(("law", "mutant"), MUTANTS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_mutant_breaks_its_law_and_no_other(law: int, mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    found = breaches()
    assert found[law] > BLURRED * (found.total() - found[law]), found
