"""Options from a TOML file, and as one.

A file has a table for each command, with the options' names in it, dashes or underscores alike; `[beam]` holds Apache Beam's:

    [run]
    input = ["~/Pictures"]
    output = "~/clips"
    max-artifact-score = 0.8

    [beam]
    direct_num_workers = 4
"""

import argparse
import json
import tomllib
from collections.abc import Mapping
from datetime import date
from typing import Any

BEAM = "beam"
Lists = dict[str, list[Any]]
NOT_KEPT = ("help", "config", "print_config")


class ConfigError(ValueError):
    """A config file cannot be used; the message says why, and what to do."""


def read(path: str) -> dict[str, Any]:
    """The tables of a file. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"--config {path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"--config {path} is no TOML: {error}.") from error


def apply(parser: argparse.ArgumentParser, command: str, tables: Mapping[str, Any], commands: tuple[str, ...]) -> Lists:
    """Makes what a file says the defaults of a command's parser: the command line goes before it.

    Returns what `fill` takes once the command line is parsed. Raises ConfigError.
    """
    unknown = sorted(tables.keys() - {*commands, BEAM})
    if unknown:
        raise ConfigError(f"The config file has a table [{unknown[0]}]; known are {', '.join((*commands, BEAM))}.")
    actions = {action.dest: action for action in parser._actions if action.dest not in NOT_KEPT}
    lists = {}
    for key, value in tables.get(command, {}).items():
        name = key.replace("-", "_")
        if name not in actions:
            raise ConfigError(f"The config file has {key!r} in [{command}], which is no option of it: see {command} --help.")
        action = actions[name]
        checked = _checked(command, key, action, value)
        action.required = False
        if isinstance(action, argparse._AppendAction):  # would add to its default
            lists[name] = checked
        else:
            action.default = checked
    return lists


def fill(args: argparse.Namespace, lists: Lists) -> argparse.Namespace:
    """The parsed command line, with the lists of the file where it has none."""
    for name, values in lists.items():
        if getattr(args, name) is None:
            setattr(args, name, values)
    return args


def _checked(command: str, key: str, action: argparse.Action, value: Any) -> Any:
    """A value as the option would give it."""
    many = isinstance(action, argparse._AppendAction)
    flag = isinstance(action, argparse._StoreTrueAction)
    wanted: Any = bool if flag else action.type or str  # the types of our options are classes
    value = value.isoformat() if isinstance(value, date) else value  # TOML's own dates, of which times are a kind
    values = value if many and isinstance(value, list) else [value]
    for one in values:
        fits = (int, float) if wanted is float else wanted
        if isinstance(one, bool) != flag or not isinstance(one, fits):
            raise ConfigError(f"The config file has {key} = {json.dumps(value)} in [{command}], which is no {wanted.__name__}.")
    return values if many else wanted(value)


def beam_flags(tables: Mapping[str, Any]) -> list[str]:
    """The options of Beam as the command line has them."""
    flags = []
    for key, value in tables.get(BEAM, {}).items():
        for one in value if isinstance(value, list) else [value]:
            flags.append(f"--{key}" if one is True else f"--{key}={one}")
    return flags


def text(command: str, args: argparse.Namespace, beam: list[str]) -> str:
    """A file that says what a command line and its defaults say; options without a value are left out."""
    lines = [f"[{command}]"]
    for name, value in sorted(vars(args).items()):
        if name not in (*NOT_KEPT, "command", "function") and value is not None:
            lines.append(f"{name.replace('_', '-')} = {json.dumps(value, ensure_ascii=False)}")
    if beam:
        lines += ["", f"[{BEAM}]"]
        options: dict[str, list[Any]] = {}
        for flag in beam:
            name, equals, value = flag.removeprefix("--").partition("=")
            options.setdefault(name, []).append(value if equals else True)
        lines += [f"{name} = {json.dumps(values[0] if len(values) == 1 else values)}" for name, values in options.items()]
    return "\n".join(lines) + "\n"
