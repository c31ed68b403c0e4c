"""What a check says: one thing that is wrong, why it matters, and what to type."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Callable, Iterable

from attrs import frozen

from trimif.cli._doctor._picture import Picture, Topic

__all__ = ["Check", "Diagnosis", "Finding", "Severity", "command", "set_parameter"]


class Severity(enum.Enum):
    """How bad it is."""

    PROBLEM = "problem"
    """A network, or a part of one, does not work."""
    WARNING = "warning"
    """It works, but not as people expect who use several networks at once."""
    NOTE = "note"
    """Good to know; nothing is wrong with the host."""


@frozen
class Finding:
    """One thing that is wrong. The texts are not escaped yet: names in them may come from a network.

    Attributes:
        subject: the interface, domain or file that it is about.
        what: a sentence that goes on from the subject.
        why: a sentence.
        remedy: a command or a setting, to be pasted.
    """

    severity: Severity
    subject: str
    what: str
    why: str
    remedy: str


@frozen
class Check:
    """A pure function of the picture, and what it is called.

    Attributes:
        name: short, in lower case, for people and programs.
        good: what can be said if it finds nothing.
        needs: parts of the picture without which finding nothing says nothing.
    """

    name: str
    find: Callable[[Picture], Iterable[Finding]]
    good: str
    needs: frozenset[Topic] = frozenset()


@frozen
class Diagnosis:
    """What a check found.

    Attributes:
        blind: the parts of the picture that it needed, but did not have.
    """

    check: Check
    findings: tuple[Finding, ...]
    blind: tuple[Topic, ...] = ()


def command(*words: object) -> str:
    """A command line for a shell, whatever the names in it are made of."""
    return shlex.join(str(word) for word in words)


def set_parameter(family: str, interface: str, parameter: str, value: int) -> str:
    """The command that sets a kernel parameter. Slashes, because names of interfaces may have dots in them."""
    return command("sysctl", "-w", f"net/{family}/conf/{interface}/{parameter}={value}")
