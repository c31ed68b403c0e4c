"""The table: one line for each comparison, with the ratio that counts and what it should be."""

from __future__ import annotations

from attrs import frozen


@frozen
class Line:
    """One comparison.

    Attributes:
        ours: what trimif took, in `unit`; of a rate, how much it did.
        theirs: the same of the other way; 0 if there is nothing to compare with.
        target: how large the ratio ours / theirs may be (of a rate: has to be at least); None for no target.
    """

    what: str
    ours: float
    beside: str = ""
    theirs: float = 0.0
    unit: str = "us"
    target: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Ours to theirs."""
        return self.ours / self.theirs if self.theirs else 0.0

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        met = self.ratio >= self.target if self.at_least else self.ratio <= self.target
        return f"{'>=' if self.at_least else '<='} {self.target:<4}{'' if met else ' MISSED'}"

    def __str__(self) -> str:
        other = f"{self.theirs:10.1f}  {self.ratio:6.2f}  {self.verdict}" if self.theirs else ""
        return f"{self.what:58}{self.ours:10.1f} {self.unit:7}{self.beside:34}{other}".rstrip()


HEADING = f"{'trimif':58}{'':18}{'beside':34}{'':10}  {'ratio':>6}  target"
