"""Every command that README, CONTRIBUTING and docs show: its options exist, and the toy's lines run in their order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.places import REPOSITORY

from mogle_core import cli

PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")))
_BLOCK = re.compile(r"^ *```(?:bash|sh|console)?\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:mogle|accelerate|python|pip|git|cd) ")

# The toy's lines, and what makes them short. All of them run one after the other in an empty folder.
SHORT = {
    "mogle demo": "--steps 1 --size 64",
    "mogle toy install path/to/ComfyUI": "",
    "mogle toy faces toy_faces --count 64": "--size 64",
    "mogle train toy": "--set loop.steps=2 --set loop.batch=2 --set data.resolution=64 --set validation.every=0",
    "mogle generate toy_faces --toy --out pictures --cluster": "--size 32 --steps 1 --shard 0/32",
}


def commands() -> list[tuple[str, str]]:
    """(page, command) of every line in a block of commands, in order, without comments and continuations."""
    found = []
    for page in PAGES:
        for block in _BLOCK.findall((REPOSITORY / page).read_text("utf-8")):
            lines = [" ".join(shlex.split(line, comments=True)) for line in block.replace("\\\n", " ").splitlines()
                     if _COMMAND.match(f"{line.strip()} ")]  # fmt: skip
            found += [(page, line) for line in lines]
    return found


def of_the_command(line: str) -> list[str] | None:
    """The arguments of `mogle` in a line, also behind accelerate; None for another program."""
    words = [word for word in line.split() if word not in ("...", "\u2026")]
    if words[0] == "mogle":
        return words[1:]
    if "mogle_core.cli" in words:
        return words[words.index("mogle_core.cli") + 1 :]
    return None


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: str(value))
def test_what_a_page_shows_exists(page: str, line: str) -> None:
    arguments = of_the_command(line)
    if arguments is not None:
        if arguments[:1] != ["generate"]:
            cli.parser(arguments[0]).parse_args(arguments)
        else:  # a page may leave options out by three dots
            cli.parser("generate").parse_args([*arguments, *([] if "--out" in arguments else ["--out", "x"])])
    words = line.split()
    for extra in re.findall(r"\.\[([\w,]+)\]", line):
        named = (REPOSITORY / "pyproject.toml").read_text("utf-8")
        assert all(re.search(rf"^{name} = \[", named, re.MULTILINE) for name in extra.split(","))
    for word in words:
        if re.fullmatch(r"(tests|\.ci)/\S+", word) or word.endswith((".txt", "constraints.txt")):
            assert (REPOSITORY / word).exists(), word


def test_every_line_of_the_toy_has_a_short_form() -> None:
    toy = [line for _, line in commands() if re.match(r"mogle (demo|toy \w+|train toy|generate toy_faces)", line)]
    assert toy
    assert [line for line in toy if line not in SHORT] == []


@pytest.mark.slow
def test_the_toys_lines_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path/to/ComfyUI/models").mkdir(parents=True)
    (tmp_path / "path/to/ComfyUI/comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    (tmp_path / "path/to/ComfyUI/folder_paths.py").write_text("")
    (tmp_path / "path/to/ComfyUI/main.py").write_text("")
    for line, shortened in SHORT.items():
        arguments = [*(of_the_command(line) or []), *shortened.split()]
        if "--count" in arguments:
            arguments[arguments.index("--count") + 1] = "8"
        if "--cluster" in arguments:  # test_cluster.py shows that it makes the same bits
            arguments.remove("--cluster")
        assert cli.main(arguments) == 0, line
    for made in ("mogle_demo/contact_sheet.png", "toy_faces/images", "toy_runs/my_toy_mogle/my_toy_mogle.safetensors"):
        assert (tmp_path / made).exists(), made
