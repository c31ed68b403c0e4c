"""The house rules: which way imports run, what the package exports, and what importing it costs."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import trimif
import trimif.testing
from trimif.testing._lab_requirements import PROGRAMS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "trimif"

# From the bottom up: a module imports from its own layer and from those below, never from those above, and never
# from a neighbour (two parts on one line, separated by |, don't know each other).
LAYERS = """
    _validation _model _information _name_systems _messages _facts _facts_of_clients _facts_of_routers _errors
    _wire
    _core
    _sources | _connect
    _names
    _check _guests _interrupts _mif _scopes _subscriber _subscriptions _workers
    _additional _handlers _happy_eyeballs _owners _policy _registry _resolving _views
    __init__
    integrations
    testing
    cli
"""
FORBIDDEN_IN_PURE_CODE = {"asyncio", "pyroute2", "select", "selectors", "socket", "threading", "time", "trio"}
IMPORTED_WHEN_USED = ["cyclopts", "dns", "h11", "h2", "httpcore2", "jeepney", "pyroute2", "rich", "trio_asyncio"]
IMPORT_COST = 1.5  # times `import trio`


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """The part of the house that a dotted name lies in: ``trimif._core._host`` is in ``_core``."""
    return [*module.split("."), "__init__"][1]


def place_of(part: str) -> tuple[int, int]:
    """A part's layer, counted from the bottom, and its place among the neighbours of that layer."""
    for height, layer in enumerate(LAYERS.split("\n")):
        for place, neighbours in enumerate(layer.split("|")):
            if part in neighbours.split():
                return height, place
    raise LookupError(f"trimif.{part} has no layer: give it one in {Path(__file__).name} and in docs/idea.rst")


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in the file; all imports of the project are absolute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path} has a relative import"
            submodules = [PACKAGE.parent.joinpath(*node.module.split("."), alias.name) for alias in node.names]
            for alias, submodule in zip(node.names, submodules, strict=True):
                is_module = submodule.is_dir() or submodule.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def faults_of(path: Path) -> Iterator[str]:
    part = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    height, place = place_of(part)
    for imported in imports(path):
        if imported.split(".")[0] != "trimif":
            continue
        other = part_of(imported)
        other_height, other_place = place_of(other)
        if other_height > height or (other_height == height and other_place != place):
            yield f"{path.relative_to(ROOT)} ({part}) imports {imported} ({other})"


def test_imports_run_downwards() -> None:
    assert [fault for path in modules() for fault in faults_of(path)] == []


@pytest.mark.parametrize("part", ["_core", "_wire"])
def test_pure_parts_have_no_io_and_no_clock(part: str) -> None:
    paths = list((PACKAGE / part).rglob("*.py"))
    assert paths
    found = {path.name: FORBIDDEN_IN_PURE_CODE & {name.split(".")[0] for name in imports(path)} for path in paths}
    assert {name: names for name, names in found.items() if names} == {}


def test_no_file_is_long() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in modules()}
    assert {str(path): length for path, length in lengths.items() if length > 400} == {}


def test_every_file_says_what_it_is_for() -> None:
    paths = [path for path in modules() if path.read_text().strip()]
    assert [str(path) for path in paths if ast.get_docstring(ast.parse(path.read_text())) is None] == []


PUBLIC = pytest.mark.parametrize(("module", "page"), [(trimif, "reference"), (trimif.testing, "testing")])


@PUBLIC
def test_all_is_what_is_public(module: ModuleType, page: str) -> None:
    public = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert set(module.__all__) == public - {"annotations"}
    assert len(module.__all__) == len(set(module.__all__))


@PUBLIC
def test_reference_documents_what_is_public(module: ModuleType, page: str) -> None:
    text = (ROOT / "docs" / f"{page}.rst").read_text()
    documented = re.findall(r"^\.\. (?:auto|py:)(?!currentmodule|module)\w+:: (\w+)", text, re.MULTILINE)
    assert sorted(documented) == sorted(module.__all__)


def undocumented(module: ModuleType, name: str) -> Iterator[str]:
    value = getattr(module, name)
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return  # a type alias: only the reference can say what it is for
    if not value.__doc__:
        yield name
    for attribute, member in vars(value).items() if inspect.isclass(value) else ():
        described = inspect.isroutine(member) or isinstance(member, (property, classmethod, staticmethod))
        if described and not attribute.startswith("_") and not inspect.getdoc(member):
            yield f"{name}.{attribute}"


@PUBLIC
def test_every_public_name_has_a_docstring(module: ModuleType, page: str) -> None:
    assert [fault for name in module.__all__ for fault in undocumented(module, name)] == []


def test_set_up_installs_what_the_lab_needs() -> None:
    script = (ROOT / ".ci" / "install-lab-packages").read_text()
    assert dict(re.findall(r"([\w-]+):([\w-]+)", script.split("for tool in")[1].split("; do")[0])) == dict(PROGRAMS)


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment for a new interpreter that keeps its byte code, so that only the first import compiles."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("byte-code"))}


def run(program: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def cost(module: str, environment: dict[str, str]) -> float:
    """Seconds of processor time that one import takes."""
    clock = "from time import process_time as clock; before = clock()"
    return float(run(f"{clock}; import {module}; print(clock() - before)", environment))


def test_import_costs_little_more_than_trio(interpreter: dict[str, str]) -> None:
    run("import trimif", interpreter)  # compiles
    pairs = [(cost("trio", interpreter), cost("trimif", interpreter)) for _ in range(9)]
    trio_alone, with_trimif = (min(column) for column in zip(*pairs, strict=True))
    assert with_trimif <= IMPORT_COST * trio_alone


def test_import_leaves_alone_what_is_imported_when_used(interpreter: dict[str, str]) -> None:
    program = f"import sys, trimif; print([name for name in {IMPORTED_WHEN_USED} if name in sys.modules])"
    assert run(program, interpreter).strip() == "[]"
