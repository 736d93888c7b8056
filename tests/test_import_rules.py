"""Which part of the house may know of which other, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("schemas", "pipeline", "flows", "model")
LEAVES = {"pipeline.decode", "pipeline.llm_client", "pipeline.sample_videos", "pipeline.killable_worker",
          "pipeline.picture_hash", "pipeline.progress"}
"""Modules of `pipeline` that import nothing else of it, and that `model` may use."""

MAY_IMPORT = {
    "schemas": {"schemas"},
    "pipeline": {"schemas", "pipeline"},
    "flows": {"schemas", "pipeline", "flows"},
    "model": {"schemas", "pipeline", "model"},
}


def _modules() -> Iterator[tuple[str, Path]]:
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            yield _name(path), path


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Everything a module imports, anywhere in it; `from a import b` counts as both a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: len(module.split(".")) - node.level + is_package] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def _ours(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] in (*PARTS, "tests", "benchmarks")}


def _leaf_of(module: str) -> str | None:
    leaf = ".".join(module.split(".")[:2])
    return leaf if leaf in LEAVES else None


ALL = {name: _imports(path.read_text(encoding="utf-8"), name, path.name == "__init__.py")
       for name, path in _modules()}


def test_the_reader_of_imports_sees_every_form() -> None:
    source = "import a.b\nfrom c import d\ndef f():\n    from . import e\n    from ..g import h\n"
    assert _imports(source, "p.q.r") == {"a.b", "c", "c.d", "p.q", "p.q.e", "p.g", "p.g.h"}
    assert _imports("from .e import f", "p", is_package=True) == {"p.e", "p.e.f"}


def test_every_part_is_there() -> None:
    assert {name.split(".")[0] for name in ALL} == set(PARTS)
    assert set(ALL) >= LEAVES


@pytest.mark.parametrize("module", ALL)
def test_a_part_imports_only_what_it_may(module: str) -> None:
    part = module.split(".")[0]
    assert {name for name in _ours(ALL[module]) if name.split(".")[0] not in MAY_IMPORT[part]} == set()


@pytest.mark.parametrize("module", sorted(name for name in ALL if name.split(".")[0] == "model"))
def test_the_model_uses_only_the_leaves_of_the_pipeline(module: str) -> None:
    used = {name for name in ALL[module] if name.split(".")[0] == "pipeline"}
    strange = {name for name in used - {"pipeline"} if ".".join(name.split(".")[:2]) not in LEAVES}
    assert strange == set()


@pytest.mark.parametrize("module", sorted(name for name in ALL if _leaf_of(name)))
def test_a_leaf_imports_nothing_else_of_the_pipeline(module: str) -> None:
    """Types of another leaf would tie the leaves together, so not even those. A leaf may be a package."""
    others = {name for name in _ours(ALL[module]) - {"pipeline"} if _leaf_of(name) != _leaf_of(module)}
    assert {name for name in others if not name.startswith("schemas")} == set()


@pytest.mark.parametrize("module", ALL)
def test_nothing_needs_torchvision(module: str) -> None:
    assert {name for name in ALL[module] if name.split(".")[0] == "torchvision"} == set()


@pytest.mark.parametrize("module", sorted(name for name in ALL if name.split(".")[0] in ("schemas", "pipeline")))
def test_stages_know_nothing_of_orchestration(module: str) -> None:
    """No orchestration inside a stage."""
    assert {name for name in ALL[module] if name.split(".")[0] == "prefect"} == set()
