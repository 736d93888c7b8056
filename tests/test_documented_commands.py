"""Commands in README.md and docs/ can be typed as they stand there, and those that can run here do what is said."""

import ast
import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.builds import clean_environment, rows
from tests.conftest import Sample
from tests.documented_commands import (
    OUR_COMMANDS,
    PAGES,
    ROOT,
    Block,
    Command,
    WrongDocsError,
    blocks_of,
    check,
    commands_of,
    flags_named_on,
    flags_of,
    flags_of_our_commands,
)

FLAGS_OF_OTHERS = {"--index-url", "--max-model-len", "--no-deps", "--num-cpus", "--param"}
"""Flags on the pages that are those of other programs."""

RUNS: dict[str, set[str]] = {
    "build-vico": {"--status", "--explain", "--plan"}, "inspect-vico": {"--sql", "--examples", "--sample"},
    "push-vico": {"--dry-run"}, "train-on-shards": {"--dry-run"}, "export-llava": {"--out"},
    "report-vico": set()}
"""Commands that can run here on the sample, and the flags of which one must be there for it."""
NEEDS_MORE = {"--serve", "--review"}
"""Words that stand for what a machine need not have: somebody who looks."""
NAMES_WHAT_IS_MISSING = {"align-7b", "tune-7b"}
"""Configurations whose weights and data are not here: a dry run names them, which makes it a wrong call."""

page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_pages_have_commands_and_every_page_is_linked_from_the_first() -> None:
    assert len(list(commands_of(ROOT / "README.md"))) > 10
    linked = set(re.findall(r"\]\(docs/([a-z_]+\.md)\)", PAGES[0].read_text()))
    assert linked == {page.name for page in PAGES[1:]}


@page
def test_every_command_parses(page: Path) -> None:
    wrong = []
    for command in commands_of(page):
        try:
            check(command)
        except WrongDocsError as error:
            wrong.append(str(error))
    assert wrong == []


@pytest.mark.parametrize(("words", "what"), [
    ("report-vico DIR --sreve", "unrecognized arguments: --sreve"),
    ("build-vico films/ --captioner seen", "invalid choice"),
    ("report-vcio DIR", "no command that is known"), ("python -m pipeline.gone", "no such module"),
    ("python benchmarks/gone.py", "no such file"), ("make dmo", "dmo"),
    ("torchrun --nproc-per-node 2 --no-python train-on-shards --shard DIR", "unrecognized arguments: --shard"),
])
def test_a_command_that_is_gone_is_found(words: str, what: str) -> None:
    with pytest.raises(WrongDocsError, match=rf"docs/x\.md:7: .*{re.escape(what)}"):
        check(Command("docs/x.md:7", tuple(shlex.split(words))))


@pytest.mark.parametrize("name", sorted(set(OUR_COMMANDS) - {"inspect-vico"}))
def test_commands_that_take_long_can_tell_of_it_in_json(name: str) -> None:
    assert "--log-json" in flags_of(name)


@page
def test_every_flag_that_is_named_exists(page: Path) -> None:
    known = flags_of_our_commands().union(FLAGS_OF_OTHERS, *map(check, commands_of(page)))
    assert [f"{page.name}:{line}: {flag}" for line, flag in flags_named_on(page) if flag not in known] == []


@page
def test_python_yaml_and_json_can_be_read_and_what_is_imported_is_there(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            _check_imports(block)
        elif block.language == "yaml":
            assert yaml.safe_load(block.text), block.at()
        elif block.language == "json":
            json.loads(block.text)


def _check_imports(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text, filename=block.at())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{block.at()}: {node.module} has no {alias.name}"


@pytest.fixture(scope="module")
def place(sample: Sample, sample_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the names that the pages use are there: films, and data sets made of the sample."""
    folder = tmp_path_factory.mktemp("documented")
    for name in ("vico", "DIR", "OUT"):
        shutil.copytree(sample_build, folder / name)
    (folder / "films").mkdir()
    for name in ("film.mp4", "films/sample.mp4"):
        shutil.copyfile(sample.video, folder / name)
    return folder


@page
def test_commands_that_can_run_here_run(page: Path, place: Path) -> None:
    some_id = rows(place / "vico", "samples", ["sample_id"])[0]["sample_id"]
    for command in commands_of(page):
        name, *arguments = command.words
        if name in RUNS and not NEEDS_MORE & set(arguments) and (not RUNS[name] or RUNS[name] & set(arguments)):
            done = _run(place, name, [some_id if word == "ID" else word.rstrip(".…") for word in arguments])
            lacks = bool(NAMES_WHAT_IS_MISSING & set(arguments))
            assert (done.returncode, "missing: " in done.stdout) == ((2, True) if lacks else (0, False)), (
                f"{command.at}: {shlex.join(command.words)}\n{done.stdout}{done.stderr}")
    for block in blocks_of(page):
        if block.language == "python" and "datasets" in block.text:
            done = subprocess.run([sys.executable, "-c", block.text], cwd=place, capture_output=True, text=True,
                                  timeout=120, check=False, env=clean_environment(HF_HUB_OFFLINE="1"))
            assert done.returncode == 0, f"{block.at()}\n{done.stderr}"


def _run(place: Path, name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(name)
    return subprocess.run([program, *arguments], cwd=place, capture_output=True, text=True, timeout=300, check=False,
                          env=clean_environment(), stdin=subprocess.DEVNULL)
