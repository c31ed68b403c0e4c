r"""The syntax of ISC's lease files: :manpage:`dhclient.leases(5)`, :manpage:`dhclient.conf(5)`.

A file is a row of statements, words and quoted strings ended by a semicolon, and of blocks, words before a pair of
braces with more of the same in it. Commas separate like blanks. The file is a log that is appended to, so a reader
may see a last block that is half written: it is ignored, wholly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from attrs import define, field

from trimif._errors import MalformedInput
from trimif._wire.dhcp_values import expect

__all__ = ["Block", "Statement", "one", "read_blocks", "read_epoch", "read_number", "read_time"]

Statement: TypeAlias = Sequence[str]
"""The words of a statement; a quoted string keeps its opening quote, so that it can be told from a word."""

_TOKEN = re.compile(
    r"""
    (?P<blank> [ \t\r\n]+ | \#[^\n]*(?:\n|\Z) )
    | (?P<string> "(?:[^"\\]++|\\.)*+" )
    | (?P<unfinished> "(?:[^"\\]++|\\.)*+\\?\Z )
    | (?P<mark> [{};] )
    | (?P<word> (?: [!$-+\--:<-z|~] )+ )
    | (?P<comma> , )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
_DIGITS = re.compile(r"[0-9a-fA-F]{1,19}")
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n", "b": "\b"}

_DEPTH = 3  # lease6 { ia-na { iaaddr { } } }; what is deeper is of no interest


@define
class Block:
    """A block that was closed.

    Attributes:
        words: before the opening brace.
    """

    words: Statement
    statements: list[Statement] = field(factory=list)
    blocks: list[Block] = field(factory=list)

    def plain(self) -> Mapping[str, Statement]:
        """The statements that are no options, by their first word; of several the last."""
        return {each[0]: each[1:] for each in self.statements if each and each[0] != "option"}

    def options(self) -> Mapping[str, Statement]:
        """The options, by name; of several the last."""
        return {each[1]: each[2:] for each in self.statements if len(each) > 1 and each[0] == "option"}


def read_blocks(text: str) -> Iterator[Block]:
    """The finished blocks of the file, in their order.

    Raises:
        MalformedInput: this is no such file.
    """
    open_blocks: list[Block] = []
    deeper = Block(())
    words: list[str] = []
    for token in _tokens(text):
        if token == "{":
            open_blocks.append(Block(tuple(words)) if len(open_blocks) < _DEPTH else deeper)
        elif token == ";" and open_blocks:
            open_blocks[-1].statements.append(tuple(words))
        elif token == "}":
            expect(bool(open_blocks), "a brace is closed that was not opened")
            block = open_blocks.pop()
            if not open_blocks:
                yield block
            elif len(open_blocks) < _DEPTH:
                open_blocks[-1].blocks.append(block)
        elif token != ";":
            words.append(token)
            continue
        words = []


def _tokens(text: str) -> Iterator[str]:
    """Words, strings with their opening quote and without the closing one, braces and semicolons."""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise MalformedInput(f"{text[position]!r} at offset {position} does not belong into a lease file")
        position = token.end()
        if token.lastgroup == "unfinished":
            return
        if token.lastgroup == "string":
            yield '"' + _unescape(token.group()[1:-1])
        elif token.lastgroup in ("mark", "word"):
            yield token.group()


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_unescape_one, text)


def _unescape_one(escape: re.Match[str]) -> str:
    code = escape[1]
    if len(code) == 1:
        return _CONTROLS.get(code, code)
    return chr(int(code[1:], 16) if code.startswith("x") else int(code, 8))


# ---------------------------------------------------------------- values


def one(words: Statement) -> str:
    """The only word."""
    expect(len(words) == 1, f"one value was to be there, not {' '.join(words)!r}")
    return words[0]


def read_number(word: str, base: int = 10) -> int:
    """Read an unsigned number of any size that makes sense."""
    expect(bool(_DIGITS.fullmatch(word)), f"{word!r} is not a number")
    try:
        return int(word, base)
    except ValueError:
        raise MalformedInput(f"{word!r} is not a number to the base of {base}") from None


def read_time(words: Statement, deadline: Callable[[datetime], float]) -> float:
    """Read a time in UTC: ``6 2026/11/21 13:17:29`` with the weekday first, ``epoch 1795353449``, or ``never``."""
    if tuple(words) == ("never",):
        return math.inf
    if len(words) == 2 and words[0] == "epoch":
        return read_epoch(read_number(words[1]), deadline)
    try:
        _weekday, date, time = words
        return deadline(datetime.strptime(f"{date} {time}", "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC))
    except (ValueError, OverflowError, OSError):
        raise MalformedInput(f"{' '.join(words)!r} is not a time") from None


def read_epoch(seconds: int, deadline: Callable[[datetime], float]) -> float:
    """Read a time in seconds since 1970."""
    try:
        return deadline(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        raise MalformedInput(f"{seconds} is not a time") from None
