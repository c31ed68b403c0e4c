"""How fetching from a domain's server can fail. The texts are for people, and become limitations."""

from __future__ import annotations

from trimif._errors import TrimifError

__all__ = ["BadAnswer", "BadCertificate", "FetchFailed", "Unreachable"]


class FetchFailed(TrimifError):
    """Base class of the others."""


class Unreachable(FetchFailed):
    """It did not get as far as a server: no address, no route, no answer to a SYN. Perhaps later."""


class BadAnswer(FetchFailed):
    """A server was reached, but did not answer as it has to: TLS, HTTP, or the content."""


class BadCertificate(BadAnswer):
    """The server could not prove that it is who it has to be."""
