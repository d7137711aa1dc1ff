"""A parser of command lines that suggests the nearest option, and the numbers that options accept."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any, NoReturn

_SubParsers = argparse._SubParsersAction

MOST = 2**53
"""The largest seed: JavaScript and JSON represent whole numbers exactly up to here."""


class Parser(argparse.ArgumentParser):
    """Reports an unknown option as an error of its sub-command, with that command's usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = sys.argv[1:] if args is None else list(args)
        if unknown := self._unknown(
            words
        ):  # first, because argparse complains about missing arguments before it looks at these
            self.error(unknown)
        options, extras = super().parse_known_args(words, namespace)
        if extras:
            self.error(self._not_an_option(extras[0]) or f"{extras[0]} is one argument too many.")
        return options, extras

    def error(self, message: str) -> NoReturn:
        """Like argparse's, but names the nearest choice."""
        if choice := re.search(r"invalid choice: '?(.*?)'? \(choose from (.*)\)", message):
            message += did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2]))
        super().error(message)

    def given(self, options: argparse.Namespace) -> dict[str, object]:
        """The values of a parsed command line by the names that a person typed, such as --out."""
        values: dict[str, object] = {}
        for action in self._actions:
            if isinstance(action, _SubParsers):
                chosen = action.choices.get(str(getattr(options, action.dest, None)))
                values |= chosen.given(options) if isinstance(chosen, Parser) else {}
            elif value := getattr(options, action.dest, None):
                values[max(action.option_strings, key=len, default=action.dest.upper())] = value
        return values

    def _unknown(self, words: Sequence[str]) -> str | None:
        """A sentence about the first word that looks like an option but is not one of this parser's."""
        ends = {"--", *(name for each in self._actions if isinstance(each, _SubParsers) for name in each.choices)}
        own = takewhile(lambda word: word not in ends, words)
        return next(filter(None, map(self._not_an_option, own)), None)

    def _not_an_option(self, word: str) -> str | None:
        known = [name for action in self._actions for name in action.option_strings]
        name = word.partition("=")[0]
        if not word.startswith("--") or " " in word or any(each.startswith(name) for each in known):
            return None
        return f"there is no option {name}.{did_you_mean(name, known)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that names the nearest known word, or nothing."""
    nearest = get_close_matches(word, list(known), 1)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def number(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option that takes a whole number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{_short(text)} is not a whole number {_range(least, most)}.")
        return value

    return read


def real(least: float, most: float | None = None) -> Callable[[str], float]:
    """The type of an option that takes a finite number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{_short(text)} is not a number {_range(least, most)}.")
        return value

    return read


def option_of(path: str, given: Mapping[str, object]) -> str | None:
    """The option whose value is this path, or a folder above it; None if there is none."""
    for name, value in given.items():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if path == str(each) or (str(each) != "." and path.startswith(f"{each}/")):
                return name
    return None


def _range(least: float, most: float | None) -> str:
    return f"of at least {least}" if most is None else f"from {least} to {most}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
