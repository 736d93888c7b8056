"""What README.md and the pages of docs/ tell people to type: found, taken apart, and held against the real parsers."""

import argparse
import contextlib
import importlib
import io
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch.distributed.run import get_args_parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OF_OTHERS = {".", "cd", "duckdb", "export", "lmms-eval", "pip", "prefect"}
"""Programs that are not ours; Prefect's are run by the tests of the deployment."""
_MODULES_OF_OTHERS = {"venv", "pytest", "pip"}
_SHELL = ("", "bash", "sh", "shell", "console")
_SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
OUR_COMMANDS = tuple(_SCRIPTS)


class WrongDocsError(Exception):
    """Something on a page is not so; the message says where and what."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """Of its first line of content, from 1."""
    language: str
    text: str

    def at(self, line: int = 0) -> str:
        """A place in it, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line + line}"


@dataclass(frozen=True)
class Command:
    """One command of a shell block."""

    at: str
    words: tuple[str, ...]


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    found, opened = [], None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.lstrip().startswith("```"):
            if opened is not None:
                opened[2].append(line)
        elif opened is None:
            opened = (number + 1, line.strip().removeprefix("```").strip(), [])
        else:
            found.append(Block(page, opened[0], opened[1], "\n".join(opened[2])))
            opened = None
    return found


def commands_of(page: Path) -> Iterator[Command]:
    """The commands of all shell blocks of a page; a block that names no language is one.

    Raises:
        WrongDocsError: a line cannot be read by a shell.
    """
    for block in blocks_of(page):
        if block.language in _SHELL:
            yield from _commands(block)


def _commands(block: Block) -> Iterator[Command]:
    lines = iter(enumerate(block.text.splitlines()))
    for number, line in lines:
        while line.endswith("\\"):
            line = line[:-1] + next(lines)[1]
        tokens = shlex.shlex(line, posix=True, punctuation_chars=True)
        tokens.whitespace_split = True
        words: list[str] = []
        try:
            listed = [*tokens, ";"]
        except ValueError as error:
            raise WrongDocsError(f"{block.at(number)}: {error}; a block that is no commands is to be marked as text"
                                 ) from None
        for word in listed:
            if set(word) <= set("&|;"):
                if words:
                    yield Command(block.at(number), tuple(_without_surroundings(words)))
                words = []
            else:
                words.append(word)


def _without_surroundings(words: Sequence[str]) -> list[str]:
    """Without variables in front, a redirection behind, and the brackets around what may be left out."""
    kept = [word.strip("[]") for word in words]
    while kept and re.fullmatch(r"[A-Z_]+=.*", kept[0]):
        kept.pop(0)
    behind = next((at for at, word in enumerate(kept) if word and set(word) <= set("<>")), len(kept))
    return kept[:behind]


class _Parsed(BaseException):
    """Thrown by a parser that has read a command line, so that the command goes no further."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


@contextlib.contextmanager
def _stopped_after_parsing() -> Iterator[None]:
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *arguments: object, **more: object) -> None:
        parse(parser, *arguments, **more)
        raise _Parsed(parser)

    argparse.ArgumentParser.parse_args = stop
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_args = parse


def parser_of(entry: Callable[[], object], arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of a command, after it has read a command line.

    Raises:
        WrongDocsError: it does not take it, or there is none.
    """
    said, before = io.StringIO(), sys.argv
    sys.argv = ["command", *arguments]
    try:
        with _stopped_after_parsing(), contextlib.redirect_stderr(said):
            entry()
    except _Parsed as parsed:
        return parsed.parser
    except SystemExit:
        raise WrongDocsError(said.getvalue().strip().splitlines()[-1]) from None
    finally:
        sys.argv = before
    raise WrongDocsError("it has no parser of arguments")


def script(name: str) -> Callable[[], object]:
    """The function that one of our commands runs."""
    module, _, function = _SCRIPTS[name].partition(":")
    return getattr(importlib.import_module(module), function)


def check(command: Command) -> set[str]:
    """Hold a command against the parser that it is for.

    Returns:
        The flags that one of our commands takes; none for those of others.

    Raises:
        WrongDocsError: it cannot be typed like this; with its place.
    """
    try:
        return _check(*command.words)
    except WrongDocsError as wrong:
        raise WrongDocsError(f"{command.at}: {shlex.join(command.words)}: {wrong}") from None


def _check(name: str, *arguments: str) -> set[str]:
    if name in _SCRIPTS:
        return _flags(parser_of(script(name), arguments))
    if name in ("python", "python3"):
        return _check_python(*arguments)
    if name == "torchrun":
        called = get_args_parser().parse_args(arguments)
        return _check(called.training_script, *called.training_script_args)
    if name == "make":
        done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise WrongDocsError(done.stderr.strip())
    elif name not in OF_OTHERS:
        raise WrongDocsError("no command that is known; a block that is none is to be marked as text")
    return set()


def _check_python(first: str, *arguments: str) -> set[str]:
    if first == "-m":
        module, *rest = arguments
        if module.split(".")[0] in _MODULES_OF_OTHERS:
            return set()
        if importlib.util.find_spec(module) is None:
            raise WrongDocsError("there is no such module")
        return _flags(parser_of(lambda: runpy.run_module(module, run_name="__main__"), rest))
    program = ROOT / first
    if not program.is_file():
        raise WrongDocsError("there is no such file")
    if "ArgumentParser(" not in program.read_text():
        return set()
    with _importing_from(program.parent):
        return _flags(parser_of(lambda: runpy.run_path(str(program), run_name="__main__"), arguments))


@contextlib.contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """As Python does with the folder of a program that it runs."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _flags(parser: argparse.ArgumentParser) -> set[str]:
    return set(parser._option_string_actions)


def flags_of_our_commands() -> set[str]:
    """Every flag that one of our commands takes, in any of its ways, and of the programs that are run with python."""
    flags = {"--help"}
    for folder in ("benchmarks", "model", "pipeline"):
        for path in (ROOT / folder).rglob("*.py"):
            flags |= set(re.findall(r'add_argument\(\s*"(--[a-z][a-z0-9-]*)"', path.read_text(encoding="utf-8")))
    return flags.union(*map(flags_of, OUR_COMMANDS))


def flags_of(name: str) -> set[str]:
    """Every flag that one of our commands takes, in any of its ways."""
    return {flag for arguments in _WAYS.get(name, [_ARGUMENTS.get(name, [])])
            for flag in _flags(parser_of(script(name), arguments))}


_WAYS = {"build-vico": [[], ["--plan"], ["--status", "DIR"], ["--explain", "DIR"]]}
"""Commands that have several parsers, and what leads to each."""
_ARGUMENTS = {"inspect-vico": ["DIR"], "report-vico": ["DIR"], "push-vico": ["DIR", "a/b"],
              "export-llava": ["DIR", "--out", "OUT"], "ask-video": ["film.mp4"],
              "ablate": ["learn"]}
"""What a command cannot be called without."""


def flags_named_on(page: Path) -> Iterator[tuple[int, str]]:
    """Flags in the running text of a page, with their lines: `--flag`, alone or in a command."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            for code in re.findall(r"`([^`]+)`", line):
                yield from ((number, flag) for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", code))
