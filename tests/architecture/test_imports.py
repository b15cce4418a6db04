"""The house rules that a machine can hold: who may import whom, how long a module may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for top in ("libs", "services") for path in (ROOT / top).glob("*/src/**/*.py")
)
MOST_LINES = 300


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def member(module: str) -> str:
    """Return the second part of a reelay module's name."""
    return module.split(".")[1]


def own_member(path: Path) -> str:
    parts = path.relative_to(ROOT).parts  # the checkout itself may be called reelay
    return parts[parts.index("reelay") + 1]


@pytest.mark.parametrize(
    "path",
    [p for p in SOURCES if p.is_relative_to(ROOT / "services")],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_service_imports_only_itself_and_the_common_library(path: Path) -> None:
    allowed = {own_member(path), "common"}
    used = {member(m) for m in imports(path) if m.startswith("reelay.")}
    assert used <= allowed


@pytest.mark.parametrize(
    "path",
    [p for p in SOURCES if p.is_relative_to(ROOT / "libs" / "common")],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_common_library_imports_no_other_member(path: Path) -> None:
    assert {member(m) for m in imports(path) if m.startswith("reelay.")} <= {"common"}


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if "domain" in p.parts], ids=lambda p: str(p.relative_to(ROOT))
)
def test_domain_imports_no_framework_and_nothing_outward(path: Path) -> None:
    outward = ("adapters", "entrypoints", "handlers", "bootstrap", "settings")
    frameworks = ("fastapi", "faststream", "nats", "sqlmodel", "sqlalchemy", "granian", "httpx")
    for module in imports(path):
        assert module.split(".")[0] not in frameworks
        assert not any(f".{layer}" in module for layer in outward if module.startswith("reelay."))


def test_modules_tests_and_benchmarks_are_short_enough_to_read() -> None:
    files = {
        path
        for top in ("libs", "services", "tests", "benchmarks")
        for path in (ROOT / top).rglob("*.py")
        if "node_modules" not in path.parts
    }
    assert set(SOURCES) < files
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}
