"""Every command that README, CONTRIBUTING and docs show: its options exist, and the toy's lines run in their order."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.documented import NOT_RUN, PLACEHOLDERS, SHORT, blocks, commands, shortened, words
from support.places import REPOSITORY

from mogle_core import cli


def of_the_command(line: str) -> list[str] | None:
    """The arguments of `mogle` in a line, also behind accelerate; None for another program."""
    given = words(line)
    if given[0] == "mogle":
        return given[1:]
    if "mogle_core.cli" in given:
        return given[given.index("mogle_core.cli") + 1 :]
    return None


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: str(value))
def test_what_a_page_shows_exists(page: str, line: str) -> None:
    arguments = of_the_command(line)
    if arguments is not None:
        if arguments[:1] != ["generate"]:
            cli.parser(arguments[0]).parse_args(arguments)
        else:  # a page may leave options out by three dots
            cli.parser("generate").parse_args([*arguments, *([] if "--out" in arguments else ["--out", "x"])])
    for extra in re.findall(r"\.\[([\w,]+)\]", line):
        named = (REPOSITORY / "pyproject.toml").read_text("utf-8")
        assert all(re.search(rf"^{name} = \[", named, re.MULTILINE) for name in extra.split(","))
    for word in words(line):
        if re.fullmatch(r"(tests|\.ci)/\S+", word) or word.endswith((".txt", "constraints.txt")):
            assert (REPOSITORY / word).exists(), word


def test_every_line_that_is_named_is_shown() -> None:
    """Every line that the tests shorten or leave out is still in a page."""
    shown = {part for _, part in commands()}
    assert set(SHORT) <= shown
    assert set(NOT_RUN) <= shown
    assert not set(SHORT) & set(NOT_RUN)
    assert all(reason for reason in NOT_RUN.values())


def test_what_needs_flux_is_what_is_left_out() -> None:
    """Every other line of `mogle` runs in a fresh environment, and the toy's always do."""
    for _, part in commands():
        if re.match(r"mogle (demo|toy|train toy|generate toy_faces|evaluate pictures --real toy_faces)", part):
            assert part not in NOT_RUN


@pytest.mark.parametrize("line", [line for block in blocks() for line in block.lines])
def test_what_makes_a_line_short_are_documented_options(line: str) -> None:
    short = shortened(line)
    for part in (short or "").split(" && "):
        arguments = of_the_command(part) if part else None
        if arguments is not None:
            assert not set(PLACEHOLDERS) & set(arguments)
            cli.parser(arguments[0]).parse_args(arguments)


MADE = {
    "mogle demo": "mogle_demo/contact_sheet.png",
    "mogle toy faces toy_faces --count 64": "toy_faces/images/00000.jpg",
    "mogle generate toy_faces --toy --out pictures": "pictures/00000.png",
    "mogle evaluate pictures --real toy_faces/images --masks toy_faces/masks --toy": "pictures_evaluation/report.md",
    "mogle train toy": "toy_runs/my_toy_mogle/my_toy_mogle.safetensors",
    "mogle toy build --work DIR --out DIR": "toy_build/faces.json",
    "mogle convert runs/face_mogle/face_mogle.safetensors --to official --out pair": "pair/mogle.pt",
    "mogle annotate PHOTOS --parser A --second B --out annotated --comfyui ~/ComfyUI": "annotated/agreement.csv",
}


@pytest.mark.parametrize(("line", "file"), [*MADE.items(), ("README.md's example", "portrait.png")])
def test_git_does_not_see_what_a_line_leaves_behind(line: str, file: str) -> None:
    """tests/fresh_environment.py asks git after all lines."""
    assert line in {part for _, part in commands()} or "example" in line
    check = subprocess.run(["git", "-C", REPOSITORY, "check-ignore", "--quiet", "--no-index", file], check=False)
    assert check.returncode == 0


@pytest.mark.slow
def test_the_toys_lines_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one folder, in this process. tests/fresh_environment.py runs all lines as a reader does."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path/to/ComfyUI/models").mkdir(parents=True)
    (tmp_path / "path/to/ComfyUI/comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    (tmp_path / "path/to/ComfyUI/folder_paths.py").write_text("")
    (tmp_path / "path/to/ComfyUI/main.py").write_text("")
    lines = dict.fromkeys(
        part for _, part in commands() if re.match(r"mogle (demo|toy install|toy faces|train toy$)", part)
    )
    assert len(lines) == 4
    for line in lines:
        more = "--steps 1 --size 64" if line == "mogle demo" else ""
        assert cli.main(of_the_command(f"{shortened(line)} {more}") or []) == 0, line
    for made in ("mogle_demo/contact_sheet.png", "toy_faces/images", MADE["mogle train toy"]):
        assert (tmp_path / made).exists(), made
