"""The painter's modules without a browser: their own tests under node, and their types."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mogle_core.labels import CLASSES, FLIPPED, LABEL_SPACES
from mogle_core.painting import read_painting
from mogle_core.toy import starters

HERE = Path(__file__).resolve().parent
WEB = HERE.parents[1] / "web"
TYPESCRIPT = "typescript@5.9.3"


def run(*command: str, cwd: Path, patience: float) -> str:
    """Fails with what the command printed; also if it is not there, because nothing else checks these files."""
    program = shutil.which(command[0])
    if program is None:
        pytest.fail(f"{command[0]} is not installed: the painter's tests need Node.js 20 or newer with npm.")
    done = subprocess.run([program, *command[1:]], cwd=cwd, capture_output=True, text=True, timeout=patience)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_the_modules_do_what_they_say() -> None:
    tests = sorted(map(str, (HERE / "unit").glob("*.test.mjs")))
    assert tests
    run("node", "--test", *tests, cwd=HERE, patience=300)


def test_the_types_hold(tmp_path: Path) -> None:
    """In the folders that ComfyUI serves, so that the imports of its scripts are found where they will be."""
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions/ComfyUI-MoGLE").symlink_to(WEB, target_is_directory=True)
    (tmp_path / "scripts").symlink_to(HERE / "types", target_is_directory=True)
    shutil.copy(HERE / "tsconfig.json", tmp_path)
    run("npx", "--yes", "--package", TYPESCRIPT, "tsc", "--project", ".", cwd=tmp_path, patience=300)


def test_classes_and_colours_are_the_cores() -> None:
    program = """
        import { CLASSES, FLIPPED, LABEL_SPACES } from "./palette.mjs";
        console.log(JSON.stringify([CLASSES, FLIPPED, LABEL_SPACES]));
    """
    printed = run("node", "--input-type=module", "--eval", program, cwd=WEB / "painter", patience=60)
    classes, flipped, spaces = json.loads(printed)
    assert [(c["id"], c["name"], c["title"], tuple(c["rgb"])) for c in classes] == [
        (c.id, c.name, c.title, c.rgb) for c in CLASSES
    ]
    assert tuple(flipped) == FLIPPED
    assert spaces == ["auto", *LABEL_SPACES]


def test_the_gallery_is_what_the_drawer_draws() -> None:
    """By its pixels: deflate may pack the same ones in another way elsewhere."""
    program = """
        import { STARTERS } from "./starters.mjs";
        console.log(JSON.stringify(STARTERS.map(({ title, painting }) => [title, painting])));
    """
    stored = json.loads(run("node", "--input-type=module", "--eval", program, cwd=WEB / "painter", patience=60))
    drawn = [(title, read_painting(text)) for title, text in starters.starters()]
    assert [title for title, _ in stored] == [title for title, _ in drawn]
    for (_, text), (title, ids) in zip(stored, drawn, strict=True):
        assert (read_painting(text) == ids).all(), f"{title}: run python -m mogle_core.toy.starters again"
