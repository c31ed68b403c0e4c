"""Replay: what ``trimif watch --json`` wrote down becomes a test.

The recorded facts go into the real core at their recorded times, and a subscriber asks for everything as ``trimif
watch`` does. It reads one message where the recording has one, so that it is as slow or as fast as the recorded
program was. Nothing runs but the core: no clock, no task, no network.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from trimif._core import Core, Grouping, Mailbox, Snapshot, grouping_named, post
from trimif._messages import (
    AnnounceInterfaces,
    Announcement,
    Connected,
    ConnectToAddress,
    ConnectToAddressFromAddress,
    InterfaceAnnouncement,
    NameTranslation,
    NameTranslationFinished,
    NotConnected,
    Request,
    StopConnecting,
    StopTranslatingName,
    TranslateName,
)
from trimif.testing._history import is_request
from trimif.testing._lines import FactsLine, Line, MessageLine, load_line
from trimif.testing._recorder import follow_up
from trimif.testing._words import Describer

__all__ = ["Replay", "replay"]

_WORK = TranslateName | ConnectToAddress | ConnectToAddressFromAddress | StopTranslatingName | StopConnecting
_ANSWERS_OF_WORK = NameTranslation | NameTranslationFinished | Connected | NotConnected


@frozen
class Replay:
    """What came of a replay.

    Attributes:
        recorded: the messages in the recording.
        history: the messages of the replay: requests, and what they and the facts led to. Its times are the recorded
            ones. Ids are the recorded ones, too, if the replay went the same way. See `check_laws`.
        snapshot: what there was at the end.
    """

    recorded: Sequence[MessageLine]
    history: Sequence[MessageLine]
    snapshot: Snapshot

    def lines(self) -> list[str]:
        """What the subscriber received, one line each, with the seconds since the first message."""
        return list(_words(self.history))

    def differences(self) -> list[str]:
        """Where the replay went another way: ``-`` before what only the recording has, ``+`` before the replay's own.

        Times are left out of the comparison. A recording that was cut off lacks what nobody had read then.
        """
        before, after = (list(_words(history, timed=False)) for history in (self.recorded, self.history))
        return [line for line in difflib.ndiff(before, after) if line.startswith(("- ", "+ "))]


def replay(lines: Iterable[str | Line], *, grouping: str | Grouping = "family") -> Replay:
    """Replay a recording.

    Names and connections depend on more than the host: requests for them and their answers are left out.

    Args:
        lines: of ``trimif watch --json``, or read already. If there are requests among them, those are posted, else
            one asks for everything; if there are no messages at all, everything is read at once. Facts without a fact
            mean that time passed; if there are none, every deadline is met on time.
        grouping: what was given to `trimif.open_mif`.

    Raises:
        MalformedInput: a line is none.
    """
    read = [load_line(line) if isinstance(line, str) else line for line in lines]
    messages = [line for line in read if isinstance(line, MessageLine) and not _is_work(line.message)]
    player = _Player(Core(_mif_name(messages), grouping_named(grouping)), read)
    for line in read:
        player.play(line)
    if read:
        player.read_all()
    return Replay(messages, player.history, player.core.snapshot())


def _is_work(message: Request | Announcement) -> bool:
    return isinstance(message, _WORK | _ANSWERS_OF_WORK)


def _mif_name(messages: Iterable[MessageLine]) -> str:
    """What the recorded ids begin with, so that the replay's are the same."""
    told = (line.message for line in messages)
    ids = (message.interface.token for message in told if isinstance(message, InterfaceAnnouncement))
    return next(ids, "replay-").rpartition("-")[0]


class _Player:
    """A core, and the one subscriber that it has."""

    def __init__(self, core: Core, recording: Sequence[Line]) -> None:
        self.core = core
        self.history: list[MessageLine] = []
        self._mailbox: Mailbox | None = None
        self._now = 0.0
        messages = [line.message for line in recording if isinstance(line, MessageLine)]
        self._asks_by_itself = not any(is_request(message) for message in messages)
        self._reads_by_itself = not messages
        self._keeps_time = not any(isinstance(line, FactsLine) and not line.facts for line in recording)

    def play(self, line: Line) -> None:
        self._let_time_pass(line.time)
        if isinstance(line, FactsLine):
            self._apply(line)
        elif is_request(line.message):
            if not isinstance(line.message, _WORK):
                self._post(line.message)
        elif not isinstance(line.message, _ANSWERS_OF_WORK):
            self._read_one()

    def _apply(self, line: FactsLine) -> None:
        self._now = line.time
        if self._mailbox is not None:  # the recorded reader looked, found nothing, and went to wait
            self._mailbox.ready(self.core.presence)
        if line.facts:
            self.core.apply(line.facts, line.time)
        else:
            self.core.advance(line.time)
        if self._reads_by_itself:
            self.read_all()

    def read_all(self) -> None:
        while self._read_one():
            pass

    def _let_time_pass(self, until: float) -> None:
        while self._keeps_time and self.core.next_deadline <= until:
            self._apply(FactsLine(self.core.next_deadline, ()))
        self._now = until

    def _post(self, request: Request) -> None:
        if self._mailbox is None:
            self._mailbox = self.core.open_mailbox(1000, 1000, _wake_nobody)
        post(self.core, self._mailbox, request)
        self.history.append(MessageLine(self._now, request))

    def _read_one(self) -> bool:
        if self._mailbox is None:
            if not self._asks_by_itself:
                return False
            self._post(AnnounceInterfaces())
        assert self._mailbox is not None, "who posts has one"
        message = self._mailbox.take(self.core.presence)
        if message is None:
            return False
        self.history.append(MessageLine(self._now, message))
        for request in follow_up(message) if self._asks_by_itself else ():
            self._post(request)
        return True


def _wake_nobody() -> None:
    """The reader looks when the recording says that it looked."""


def _words(history: Sequence[MessageLine], *, timed: bool = True) -> Iterator[str]:
    describer, begin = Describer(), history[0].time if history else 0.0
    for line in history:
        words = describer.describe(line.message, line.time if timed else begin)
        if not is_request(line.message):
            yield f"{line.time - begin:g} {words}" if timed else words
