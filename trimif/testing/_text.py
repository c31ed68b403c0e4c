"""Text for people: one line, whatever it is made of.

Names, search domains and reasons can be anything that somebody on the network wrote. Only printable characters reach
a terminal or a test's report as they are; the rest (control characters, escape sequences, marks that turn the
direction of writing) is shown as Python would write it.
"""

from __future__ import annotations

import math

__all__ = ["escape", "for_people"]


def escape(text: object) -> str:
    """The text with everything that is not printable written out: a bell becomes the four characters ``\\x07``."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(text)
    )


def for_people(seconds: float) -> str:
    """A length of time: ``for ever``, ``2 d 3 h``, ``59 min 30 s``, ``12 s``; ``over`` if there is nothing left."""
    if seconds == math.inf:
        return "for ever"
    if seconds <= 0:
        return "over"
    rest, parts = round(seconds), []
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "less than 1 s"
