"""The `mogle` command: finds a sub-command in `commands/`, runs it, prints its lines."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from .support.arguments import Parser, did_you_mean

COMMANDS = {
    "demo": "faces from a drawn mask and a prompt, with the toy's weights",
    "convert": "checkpoints from one form to another",
    "doctor": "versions, devices, weights, and what is wrong with them",
    "toy": "the small world of drawn faces behind the demo",
    "prepare": "checks a data set and encodes what training will read; goes on",
    "train": "network and LoRA from a data set; resumes exactly",
    "generate": "pictures for many masks and prompts",
    "evaluate": "the paper's metrics of generated pictures",
    "annotate": "masks for photos, and which of them to repair",
}
"""Each is a module of `commands` with `add_options(parser)` and `run(options)`, which yields the lines to print."""

INTERRUPTED = 130
"""The exit status of a command after Ctrl-C, as in shells."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 on success, or 1 with a message on stderr."""
    given: dict[str, object] = {}
    try:
        _print_any_character()
        status = _run(list(sys.argv[1:] if arguments is None else arguments), given)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        status = _failed("interrupted.", INTERRUPTED)
        if arguments is None:
            os._exit(status)  # everything is unwound; ending threads and torch would take seconds
        return status
    except Exception as error:
        if os.environ.get("MOGLE_TRACEBACK"):
            raise
        return _explained(error, given)


def _run(arguments: list[str], given: dict[str, object]) -> int:
    """given: receives the values of the options, for error messages."""
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    if not arguments:
        arguments = ["--help"]
    root = parser(_named(arguments))
    options = root.parse_args(arguments)
    given |= root.given(options)

    import logging

    from .support.headless import headless

    logging.basicConfig(format="%(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request
    with headless():
        for line in _run_command(options):
            print(line)
    return 0


def _run_command(options: argparse.Namespace) -> Iterator[str]:
    lines: Iterator[str] = import_module(f".commands.{options.command}", __package__).run(options)
    return lines


def parser(only: str | None = None) -> Parser:
    """The parser of all commands. only: read the options of this command alone, which saves importing the others."""
    root = Parser(prog="mogle", description="Face-MoGLE without ComfyUI.")
    root.add_argument("-V", "--version", action=_Version, help="show the version and exit")
    root.add_argument("--print-completion", action=_Completion, help="show the completion script of a shell and exit")
    commands = root.add_subparsers(title="commands", required=True, dest="command", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if only is None or name == only:
            import_module(f".commands.{name}", __package__).add_options(command)
    return root


def _named(arguments: Sequence[str]) -> str | None:
    """The command of a command line, or `none` without one; None if all commands are needed.

    Raises SystemExit with the nearest command for an unknown word.
    """
    if any(each.startswith("--print-completion") for each in arguments):
        return None
    word = next((each for each in arguments if not each.startswith("-")), "none")
    if word != "none" and word not in COMMANDS:
        _failed(f"there is no command {word}.{did_you_mean(word, COMMANDS)} `mogle help` lists the commands.")
        raise SystemExit(2)
    return word


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from . import __version__

        print(f"face-mogle {__version__}")
        parser.exit()


class _Completion(argparse.Action):
    """Prints a completion script by shtab, which is only imported here."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, choices=("bash", "zsh", "tcsh"), help=help)

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, shell: Any, _: Any = None) -> None:
        from .support.headless import headless

        with headless():
            import shtab

            for action in _actions(parser):
                if action.type is Path:
                    action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own way
            print(shtab.complete(parser, shell))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The actions of a parser and of its sub-commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)


def _print_any_character() -> None:
    """Escape characters that the output's encoding lacks, which depends on the terminal."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _explained(error: Exception, given: Mapping[str, object]) -> int:
    if isinstance(error, OSError) and error.filename is None:
        _drop_output()  # the rest of the buffer would raise again while Python ends
    if isinstance(error, BrokenPipeError):
        return _failed("the output was closed before everything was written.")

    from .support.sentences import sentence_of

    return _failed(sentence_of(error, given))


def _drop_output() -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # an output without a file, such as a test's
        return


def _failed(sentence: str, status: int = 1) -> int:
    from .support.sentences import printable

    with suppress(OSError):  # nobody reads it
        print(f"mogle: {printable(sentence)}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
