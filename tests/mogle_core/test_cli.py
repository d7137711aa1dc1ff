"""The `mogle` command itself: its imports, its answers to mistakes, and how it ends."""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.places import REPOSITORY

from mogle_core import cli, commands
from mogle_core.cli import COMMANDS, main

# Without site-packages: nothing but the standard library can be imported.
BARE = (sys.executable, "-S", "-c")
PROGRAM = """\
import sys
sys.path.insert(0, {place!r})
sys.argv[1:] = {arguments!r}
from mogle_core import cli
try:
    status = cli.main()
except SystemExit as ended:
    status = ended.code
{then}
sys.exit(status)
"""


def bare(*arguments: str, then: str = "") -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(place=str(REPOSITORY), arguments=list(arguments), then=then)
    return subprocess.run([*BARE, program], capture_output=True, text=True)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """command(run) replaces `mogle demo` with a command that calls `run`, for one test."""

    def replace(run: Callable[..., Any]) -> None:
        module = ModuleType("demo")
        module.add_options = lambda parser: parser.add_argument("--out", default="out")  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "mogle_core.commands.demo", module)
        monkeypatch.setattr(commands, "demo", module, raising=False)

    return replace


def raising(error: BaseException) -> Callable[..., Iterator[str]]:
    def run(options: argparse.Namespace) -> Iterator[str]:
        yield "a line"
        raise error

    return run


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_needs_only_the_standard_library(flag: str) -> None:
    done = bare(flag)
    assert done.returncode == 0
    assert done.stdout.startswith("face-mogle ")


def test_the_version_imports_no_command() -> None:
    done = bare("--version", then="print([m for m in sys.modules if m.startswith('mogle_core.commands')])")
    assert done.stdout.splitlines()[1] == "[]"


@pytest.mark.parametrize("name", [*COMMANDS, ""])
def test_every_help_needs_only_the_standard_library(name: str) -> None:
    done = bare("help", *filter(None, [name]))
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: mogle {name}".rstrip())
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo",),
        ("toy", "faces", "out"),
        ("train", "toy"),
        ("prepare", "toy"),
        ("convert", "a.pt", "--to", "combined", "--out", "b"),
        ("generate", "--prompts", "a face", "--toy", "--out", "out"),
        ("evaluate", "pictures", "--toy"),
        ("annotate", "photos", "--parser", "toy", "--out", "out"),
    ],
)
def test_without_the_extra_a_command_names_it(arguments: tuple[str, ...]) -> None:
    done = bare(*arguments)
    assert done.returncode == 1
    assert 'pip install -e ".[headless]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_works_without_the_extra() -> None:
    done = bare("doctor")
    assert done.returncode == 0
    assert "torch: MISSING." in done.stdout


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_alone_it_lists_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("trian toy", "there is no command trian. Did you mean train?"),
        ("help trian", "there is no command trian. Did you mean train?"),
        ("xyzzy", "there is no command xyzzy. `mogle help` lists the commands."),
        ("toy instal .", "Did you mean install?"),
        ("convert a.pt --to combind --out b", "Did you mean combined?"),
        ("train toy --rseume auto", "there is no option --rseume. Did you mean --resume?"),
        ("generate --ot x", "there is no option --ot. Did you mean --out?"),
        ("toy install --lnk .", "there is no option --lnk. Did you mean --link?"),
        ("toy faces a b", "b is one argument too many."),
        ("--verison", "there is no option --verison. Did you mean --version?"),
        ("demo --size 99999", "99999 is not a whole number from 16 to 2048."),
        ("toy faces out --size 99999", "99999 is not a whole number from 16 to 2048."),
        ("demo --steps 0", "0 is not a whole number from 1 to"),
        ("annotate p --parser toy --out o --threshold nan", "nan is not a number from 0 to 1."),
    ],
)
def test_a_mistake_suggests_the_nearest_name(line: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("train toy --nothing", "usage: mogle train "),
        ("toy install --nothing .", "usage: mogle toy install "),
        ("generate --nothing", "usage: mogle generate "),
        ("--nothing", "usage: mogle [-h]"),
    ],
)
def test_an_unknown_option_prints_that_commands_usage(
    line: str, usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(line.split())
    assert capsys.readouterr().err.startswith(usage)


def test_a_prompt_may_begin_with_dashes(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command(lambda options: iter([options.out]))
    assert main(["demo", "--out", "-- a face"]) == 0
    assert capsys.readouterr().out == "-- a face\n"


def full_disk() -> Exception:
    return RuntimeError("[enforce fail at inline_container.cc:783] . PytorchStreamWriter failed writing file data/0")


class SafetensorError(Exception):
    """Like safetensors' error, with the same name."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("The size is 3: choose 4."), "mogle: The size is 3: choose 4."),
        (OSError(errno.ENOENT, "No such file or directory", "out/a.png"), "out/a.png does not exist (given by --out)."),
        (OSError(errno.EACCES, "Permission denied", "/root/a"), "/root/a may not be read or written by this user."),
        (OSError(errno.ENOSPC, "No space left on device", "out"), "The disk of out is full"),
        (OSError(errno.EIO, "Input/output error", "out"), "out: Input/output error (given by --out)."),
        (full_disk(), "The disk is full"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "The disk is full"),
        (SafetensorError("Error while deserializing header"), "A .safetensors file cannot be read"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (MemoryError(), "Memory does not suffice"),
        (torch.OutOfMemoryError("CUDA out of memory"), "Memory does not suffice"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "is not UTF-8 (byte 0xff at 0)"),
        (KeyError("loop"), "an unexpected KeyError in test_cli.py"),
    ],
)
def test_every_error_is_one_sentence(
    error: Exception, sentence: str, command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(error))
    assert main(["demo"]) == 1
    said = capsys.readouterr()
    assert said.out == "a line\n"
    assert sentence in said.err
    assert "Errno" not in said.err


def test_a_defect_shows_its_traceback_on_request(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    command(raising(KeyError("loop")))
    monkeypatch.setenv("MOGLE_TRACEBACK", "1")
    with pytest.raises(KeyError):
        main(["demo"])


def test_an_interrupt_ends_with_130(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command(raising(KeyboardInterrupt()))
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "mogle: interrupted.\n"


def test_control_characters_are_shown_and_not_obeyed(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command(raising(ValueError("red \x1b[31m and a bell \x07, backwards \u202e")))
    assert main(["demo"]) == 1
    assert not set("\x1b\x07\u202e") & set(capsys.readouterr().err)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_output_whose_encoding_lacks_a_character(
    encoding: str, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    command(lambda options: iter(["Gesicht \u4e2d"]))
    assert main(["demo"]) == 0
    assert written.getvalue() == b"Gesicht \\u4e2d\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe whose reader is gone is another error there")
def test_a_closed_pipe_is_an_error_message() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "mogle_core.cli", "doctor"], stdout=writing, stderr=subprocess.PIPE, cwd=REPOSITORY
    )
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert done.stderr == b"mogle: the output was closed before everything was written.\n"
    assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_output_is_an_error_message() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mogle_core.cli", "doctor"], stdout=full, stderr=subprocess.PIPE, cwd=REPOSITORY
        )
    assert done.stderr.decode().startswith("mogle: The disk of the output is full")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_in_a_running_command() -> None:
    program = (
        "import sys, time, types; from mogle_core import cli, commands\n"
        "demo = types.ModuleType('demo'); demo.add_options = lambda parser: None\n"
        "def run(options):\n yield 'started'\n sys.stdout.flush()\n time.sleep(60)\n"
        "demo.run = run; sys.modules['mogle_core.commands.demo'] = commands.demo = demo\n"
        "sys.exit(cli.main(['demo']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == "mogle: interrupted.\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert "mask-guidance" in script


WORDS = st.one_of(
    st.sampled_from(
        [*COMMANDS, "help", "install", "faces", "--out", "--size", "--seed", "--", "-", "-h", "--=", "=", "-V"]
    ),
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["--help", "--set", "--json", "--print-completion", "\x00", "\ud800", "9" * 5000, "--" + "o" * 300]
    ),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arguments=st.lists(WORDS, max_size=6))
def test_no_command_line_ends_in_a_traceback(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing only. The tests of each command cover files and configurations."""
    monkeypatch.setattr(cli, "_run_command", lambda options: iter([json.dumps(sorted(vars(options)))]))
    try:
        assert main(arguments) in (0, 1)
    except SystemExit as ended:
        assert ended.code in (0, 2)
