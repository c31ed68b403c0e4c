"""The diagnosis for people and for programs.

For people: a table of all checks at a glance, then each finding with its reason and remedy. It says the same without
colours, and in a pipe; where the output can't show ✓ and ✗ there are words. Remedies are never wrapped: they are there
to be pasted. Everything is escaped, and nothing is taken for Rich's markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimif.cli._doctor._finding import Diagnosis, Finding, Severity
from trimif.cli._doctor._picture import Unseen
from trimif.cli._terminal import escape

__all__ = ["exit_code", "print_report", "to_json", "worst"]

RANK = {severity: rank for rank, severity in enumerate(Severity)}
STYLES = {Severity.PROBLEM: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
SYMBOLS = {Severity.PROBLEM: "✗", Severity.WARNING: "!", Severity.NOTE: "·"}
PLAIN_SYMBOLS = {Severity.PROBLEM: "X", Severity.WARNING: "!", Severity.NOTE: "-"}
INDENT = 2


def worst(findings: Sequence[Finding]) -> Severity | None:
    """The worst of them; None if there is none."""
    return min((each.severity for each in findings), key=RANK.__getitem__, default=None)


def exit_code(diagnoses: Sequence[Diagnosis]) -> int:
    """0 if nothing is worse than a note, else 1."""
    severity = worst([finding for each in diagnoses for finding in each.findings])
    return 0 if severity in (None, Severity.NOTE) else 1


# ---------------------------------------------------------------- for people


def print_report(console: Console, diagnoses: Sequence[Diagnosis], unseen: Sequence[Unseen]) -> None:
    """Print the table, the findings from the worst on, and the result."""
    console.print(_table(console, diagnoses))
    findings = sorted(
        (finding for each in diagnoses for finding in each.findings), key=lambda each: RANK[each.severity]
    )
    for finding in findings:
        console.print()
        for part in _explain(console, finding):
            console.print(part, soft_wrap=isinstance(part, Text))
    for each in unseen:
        console.print()
        console.print(Text(f"Not looked at: {each.topic.value}: {escape(each.why)}"))
    console.print()
    console.print(_result(findings))


def _table(console: Console, diagnoses: Sequence[Diagnosis]) -> Table:
    table = Table.grid(padding=(0, 1))
    for each in diagnoses:
        symbol, style, text = _summary(console, each)
        table.add_row(Text(symbol, style), Text(each.check.name, style), Text(text))
    return table


def _summary(console: Console, diagnosis: Diagnosis) -> tuple[str, str, str]:
    """The check's symbol, its colour, and what it found in a few words."""
    severity = worst(diagnosis.findings)
    if severity is not None:
        subjects = dict.fromkeys(escape(each.subject) for each in diagnosis.findings)
        return _symbol(console, severity), STYLES[severity], f"{severity.value}: {', '.join(subjects)}"
    if diagnosis.blind:
        return "?", "dim", f"can't tell without {', '.join(each.value for each in diagnosis.blind)}"
    return ("ok" if _is_plain(console) else "✓"), "green", diagnosis.check.good


def _symbol(console: Console, severity: Severity) -> str:
    return (PLAIN_SYMBOLS if _is_plain(console) else SYMBOLS)[severity]


def _is_plain(console: Console) -> bool:
    return not console.encoding.lower().startswith("utf")


def _explain(console: Console, finding: Finding) -> Iterator[RenderableType]:
    """What it is, and why, wrapped and indented; the remedy on a line of its own."""
    head = Table.grid(padding=(0, 1))
    style = STYLES[finding.severity]
    what = Text.assemble((escape(finding.subject), style), f": {escape(finding.what)}.")
    head.add_row(Text(_symbol(console, finding.severity), style), what)
    yield head
    yield Padding(Text(escape(finding.why), "dim"), (0, 0, 0, INDENT))
    yield Text(f"{' ' * INDENT}Remedy: {escape(finding.remedy)}")


def _result(findings: Sequence[Finding]) -> Text:
    """All is well; or how many findings of which severity."""
    counts = {severity: sum(each.severity is severity for each in findings) for severity in Severity}
    told = ", ".join(_count(number, severity) for severity, number in counts.items() if number)
    if counts[Severity.PROBLEM] or counts[Severity.WARNING]:
        return Text(told[:1].upper() + told[1:], "bold")
    return Text("All is well" + (f": {told}" if told else ""), "bold green")


def _count(number: int, severity: Severity) -> str:
    return f"{number} {severity.value}{'' if number == 1 else 's'}"


# ---------------------------------------------------------------- for programs


def to_json(diagnoses: Sequence[Diagnosis], unseen: Sequence[Unseen]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "findings": [
            {
                "check": each.check.name,
                "severity": finding.severity.value,
                "subject": finding.subject,
                "what": finding.what,
                "why": finding.why,
                "remedy": finding.remedy,
            }
            for each in diagnoses
            for finding in each.findings
        ],
        "checked": [each.check.name for each in diagnoses if not each.blind],
        "not_checked": [
            {"check": each.check.name, "without": [topic.value for topic in each.blind]}
            for each in diagnoses
            if each.blind
        ],
        "unseen": [{"what": each.topic.value, "why": each.why} for each in unseen],
    }
