"""The exceptions of trimif. Everything else it raises is Trio's, the standard library's, or an :exc:`OSError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimif._model import NotConnectedReason

__all__ = ["ConnectFailed", "DomainGone", "InterfaceGone", "MalformedInput", "TooManyRequests", "TrimifError"]


class TrimifError(Exception):
    """Base class of the exceptions that only trimif raises."""


class TooManyRequests(TrimifError):
    """A subscriber posted a request beyond the bound on its outstanding ones.

    Receive some answers, or stop requests that are no longer wanted, then post again.
    """


class _Gone(TrimifError):
    what = "owner"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{self.what} {name} is gone: {reason}")
        self.name = name
        self.reason = reason


class InterfaceGone(_Gone):
    """An action on an interface that is gone, or that went in the middle.

    Attributes:
        name: its last display name.
        reason: why it is gone, for people.
    """

    what = "interface"
    name: str
    reason: str


class DomainGone(_Gone):
    """An action on a provisioning domain that is gone, or that went in the middle.

    Attributes:
        name: its last name, ``eth0/ipv4``.
        reason: why it is gone, for people.
    """

    what = "provisioning domain"
    name: str
    reason: str


class MalformedInput(TrimifError, ValueError):
    """Octets or text from outside (network, kernel, lease file) that do not follow their format.

    The one exception that a parser of trimif raises, whatever it is fed. It is counted and logged at debug
    level, never fatal, and nothing of the malformed input is applied.
    """


class ConnectFailed(TrimifError, OSError):
    """A connect through a provisioning domain failed: the errno, and what it means.

    Args:
        errno: the operating system's error number, for example :data:`errno.ECONNREFUSED`.
        reason: the same as in `NotConnected`.
        text: one sentence for people, naming the domain and the peer.
    """

    reason: NotConnectedReason

    def __init__(self, errno: int, reason: NotConnectedReason, text: str) -> None:
        super().__init__(errno, text)
        self.reason = reason
