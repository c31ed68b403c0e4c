"""The Python code in README and documentation runs, each document as one program.

It runs in a network namespace of its own with nothing but the loopback interface, so that what it shows works on every
host, and nothing of it reaches the machine's networks. For the tutorials, which need more, see ``test_tutorials.py``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pyroute2 import IPRoute
from sybil import Sybil
from sybil.parsers.markdown.codeblock import PythonCodeBlockParser as MarkdownPython
from sybil.parsers.rest.codeblock import PythonCodeBlockParser as RestructuredTextPython

from trimif.testing._namespaces import Namespace

ROOT = Path(__file__).parents[1]
DOCUMENTS = [path for pattern in ("*.md", "docs/*.rst") for path in sorted(ROOT.glob(pattern))]


def program_of(path: Path) -> str:
    """All Python blocks of a document, in their order, as one program; lines keep their numbers."""
    parser = MarkdownPython() if path.suffix == ".md" else RestructuredTextPython()
    examples = list(Sybil(parsers=[parser]).parse(path).examples())
    text = path.read_text()
    assert len(examples) == text.count("```python") + text.count(".. code-block:: python")
    lines: list[str] = []
    for example in examples:
        lines += [""] * (example.line - len(lines)) + example.parsed.splitlines()
    return "\n".join(lines)


def run_in_quiet_network(command: list[str]) -> subprocess.CompletedProcess[str]:
    namespace = Namespace("documentation")
    try:
        with namespace.entered(), IPRoute() as netlink:
            netlink.link("set", index=netlink.link_lookup(ifname="lo")[0], state="up")
        return namespace.run(command, check=False, capture_output=True, text=True)
    finally:
        namespace.close()


@pytest.mark.lab
@pytest.mark.parametrize("path", [path for path in DOCUMENTS if program_of(path)], ids=lambda path: path.name)
def test_program_runs(path: Path) -> None:
    finished = run_in_quiet_network([sys.executable, "-W", "error", "-c", program_of(path)])
    assert finished.stderr == ""
    assert finished.returncode == 0
    assert "127.0.0.1" in finished.stdout


def test_there_are_programs() -> None:
    assert {path.name for path in DOCUMENTS if program_of(path)} >= {"README.md", "idea.rst"}
