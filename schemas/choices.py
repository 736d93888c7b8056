"""A command's choices: from flags, else a YAML file, else the environment, checked by one pydantic model.

Written by hand because pydantic-settings splits a list on the command line at commas and reads quotes and
brackets in it as JSON: a file name may hold all of them.
"""

import argparse
import json
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Choices = TypeVar("Choices", bound=BaseModel)

LOG_JSON = "tell of progress as JSON on stderr, an object a line, in place of bars"
"""What the flag `--log-json` says of itself; every command that takes long has it."""


class ChoiceFileError(Exception):
    """The YAML file cannot be used; the message says why."""


def read_choices(
    model: type[Choices], parser: argparse.ArgumentParser, argv: Sequence[str], environment: Mapping[str, str],
    prefix: str = "VICO_", bundled: Path | None = None,
    weakest: Callable[[dict[str, Any]], dict[str, Any]] = lambda stronger: {},
) -> Choices:
    """Read a command line.

    Every field of the model becomes a flag, its underscores dashes, but for those the parser has already. A flag
    of a list is repeated for each entry. What is chosen or not has a second flag, `--no-…`, which takes it back. A
    mapping is for the file alone.

    Args:
        model: what can be chosen.
        parser: the command's, with its positional arguments; they are fields of the model too.
        argv: the command line without the command.
        environment: `PREFIX` + the field's name in capitals; lists in JSON.
        prefix: of the environment variables.
        bundled: a folder of YAML files that --config may name without path and ending.
        weakest: choices that hold where nothing else is said, from those that are said.

    Raises:
        ChoiceFileError: the file of --config is missing or holds no mapping.
        pydantic.ValidationError: a choice is not possible.
        SystemExit: an option does not exist, or help was asked for.
    """
    taken = {action.dest for action in parser._actions}
    for name, field in model.model_fields.items():
        if name not in taken and get_origin(field.annotation) is not dict:
            _add_flag(parser, name, field)
    names = sorted(file.stem for file in bundled.glob("*.yaml")) if bundled else []
    parser.add_argument("--config", metavar="FILE", help=" or ".join(["a YAML file with any of these choices", *names]))
    flags = {name: value for name, value in vars(parser.parse_args(argv)).items() if value not in (None, [])}
    file = _read_yaml(_config_file(flags.pop("config"), bundled)) if "config" in flags else {}
    said = _from_environment(model, environment, prefix) | file | flags
    return model.model_validate(weakest(said) | said)


def _add_flag(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    if field.annotation is bool:
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, default=None,
                            action=argparse.BooleanOptionalAction, help=field.description)
        return
    choices = _literals(field.annotation)
    shown = "" if field.is_required() else f" (default: {_shown(field.get_default(call_default_factory=True))})"
    parser.add_argument(
        f"--{name.replace('_', '-')}", dest=name, metavar=None if choices else name.split("_")[-1].upper(),
        choices=choices, action="append" if _is_list(field.annotation) else "store",
        help=f"{field.description}{shown}".replace("%", "%%"))


def _config_file(name: str, bundled: Path | None) -> str:
    own = bundled / f"{name}.yaml" if bundled else None
    return str(own) if own is not None and own.is_file() and not Path(name).exists() else name


def _read_yaml(path: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ChoiceFileError(f"--config {path}: {error}") from error
    if not isinstance(values, dict):
        raise ChoiceFileError(f"--config {path}: expected choices, a line each: clip_seconds: 10")
    return {str(name).replace("-", "_"): value for name, value in values.items()}


def _from_environment(model: type[BaseModel], environment: Mapping[str, str], prefix: str) -> dict[str, Any]:
    found = {}
    for name, field in model.model_fields.items():
        value = environment.get(prefix + name.upper())
        if value is not None:
            found[name] = json.loads(value) if _is_list(field.annotation) else value
    return found


def _is_list(annotation: Any) -> bool:
    parts = get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return any(get_origin(part) is list for part in parts)


def _literals(annotation: Any) -> list[str] | None:
    """The words a Literal allows."""
    parts = get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    words = [word for part in parts for word in get_args(part) if isinstance(word, str)]
    return words or None


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
