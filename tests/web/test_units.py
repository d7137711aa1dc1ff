"""The painter's modules without a browser: their unit tests under node, and their types."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mogle_core.masks.labels import CLASSES, FLIPPED, LABEL_SPACES
from mogle_core.masks.painting import read_painting
from mogle_core.toy.drawer import starters

HERE = Path(__file__).resolve().parent
WEB = HERE.parents[1] / "web"
LOCALES = HERE.parents[1] / "locales"
TYPESCRIPT = "typescript@5.9.3"
# What the help names besides single actions, each with the browser test that does it.
HANDS = {
    "0 … 9": "test_each_digit_chooses_a_class_at_once",
    "Shift+0 … Shift+8": "test_each_digit_chooses_a_class_at_once",
    "Arrow keys": "test_painting_by_keys_alone",
    "Enter": "test_polygon",
    "Esc": "test_escape_discards_unfinished_work",
    "Space or middle button": "test_the_hand_the_space_bar_and_the_middle_button_pan",
    "Alt+click": "test_eyedropper",
    "Right click": "test_the_classes_at_the_pointer",
    "Shift+click": "test_a_click_with_shift_draws_a_straight_line",
    "Shift, Alt": "test_rectangle_with_shift_and_alt",
    "Alt+drag": "test_a_drag_with_alt_copies_a_region",
    "Arrow keys, Ctrl+arrow keys": "test_move_scale_and_rotate",
    "\\": "test_the_picture_lies_under_the_brush_and_is_seen_alone",
    "Two fingers": "test_two_fingers_zoom_and_paint_nothing",
    "Eraser end of the pen": "test_pen_pressure_and_the_pens_other_end",
    "Mouse wheel": "test_the_wheel_zooms_pans_and_sizes_the_brush",
    "Paste or drop a picture": "test_a_picture_that_is_pasted_or_dropped",
}


def run(*command: str, cwd: Path, patience: float) -> str:
    """Fails with the output of the command, also if the command is missing, because nothing else checks these files."""
    program = shutil.which(command[0])
    if program is None:
        pytest.fail(f"{command[0]} is not installed: the painter's tests need Node.js 20 or newer with npm.")
    done = subprocess.run([program, *command[1:]], cwd=cwd, capture_output=True, text=True, timeout=patience)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_the_modules_pass_their_unit_tests() -> None:
    tests = sorted(map(str, (HERE / "unit").glob("*.test.mjs")))
    assert tests
    run("node", "--test", *tests, cwd=HERE, patience=300)


@pytest.mark.slow
def test_the_types_hold(tmp_path: Path) -> None:
    """In the folders that ComfyUI serves, so that imports of its scripts resolve as in the page."""
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions/ComfyUI-MoGLE").symlink_to(WEB, target_is_directory=True)
    (tmp_path / "scripts").symlink_to(HERE / "types", target_is_directory=True)
    shutil.copy(HERE / "tsconfig.json", tmp_path)
    run("npx", "--yes", "--package", TYPESCRIPT, "tsc", "--project", ".", cwd=tmp_path, patience=300)


def exported(expression: str, module: str, *names: str) -> Any:
    """An export of a painter module, as JSON."""
    program = f"import {{ {', '.join(names)} }} from './{module}'; console.log(JSON.stringify({expression}));"
    return json.loads(run("node", "--input-type=module", "--eval", program, cwd=WEB / "painter", patience=60))


def test_every_key_and_every_hand_is_in_a_browser_test() -> None:
    """By the literals that the browser tests press. The list of keys is also that of the tools and buttons."""
    modules = [ast.parse(file.read_text("utf-8")) for file in HERE.glob("test_*.py")]
    nodes = [node for module in modules for node in ast.walk(module)]
    pressed = {
        constant.value.replace("Control+", "Ctrl+")
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("editor.keys")
        for argument in node.args
        for constant in ast.walk(argument)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    # As `chord` names them: letters in capitals.
    pressed = {key[:-1] + key[-1].upper() if key[-2:-1] in ("", "+") else key for key in pressed}
    keys = exported("ACTIONS.flatMap(({ keys }) => keys)", "editor/actions.mjs", "ACTIONS")
    assert sorted(set(keys) - pressed) == []

    tests = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    hands = exported("MORE_KEYS.map(([keys]) => keys)", "editor/actions.mjs", "MORE_KEYS")
    assert hands == list(HANDS) and set(HANDS.values()) <= tests


@pytest.mark.parametrize("language", sorted({path.name for path in LOCALES.iterdir()} - {"en"}))
def test_every_text_has_its_translation(language: str) -> None:
    """Every text passed to `t`: messages, titles, and what the keys do, with the translations from one table."""
    said = set(exported("ACTIONS.flatMap(({ title, group }) => [title, group])", "editor/actions.mjs", "ACTIONS"))
    said |= set(exported("MORE_KEYS.flat()", "editor/actions.mjs", "MORE_KEYS"))
    for file in (WEB / "painter").rglob("*.mjs"):
        quoted = re.findall(r'(?:\bt\(|\btitle:)\s*("(?:[^"\\]|\\.)*")', file.read_text("utf-8"))
        said |= {json.loads(text) for text in quoted}
    assert set(json.loads((LOCALES / language / "main.json").read_text("utf-8"))["MoGLE"]["painter"]) == said


@pytest.mark.parametrize("language", sorted(path.name for path in LOCALES.iterdir()))
def test_every_setting_has_its_texts(language: str) -> None:
    """Looked up by its id, with "_" for ".". English equals what the painter says."""
    own = exported("settings(() => {})", "node/settings.mjs", "settings")
    texts = json.loads((LOCALES / language / "settings.json").read_text("utf-8"))
    assert list(texts) == [setting["id"].replace(".", "_") for setting in own]
    if language == "en":
        assert list(texts.values()) == [{"name": one["name"], "tooltip": one["tooltip"]} for one in own]


def test_every_tool_has_a_key() -> None:
    tools = exported("Object.keys(makeTools())", "tools/toolbox.mjs", "makeTools")
    ids = "ACTIONS.filter(({ group }) => group === 'Tools').map(({ id }) => id)"
    actions = exported(ids, "editor/actions.mjs", "ACTIONS")
    assert sorted(actions) == sorted([*tools, "move", "hand"])


@pytest.mark.parametrize("file", sorted(WEB.rglob("*js")), ids=lambda file: file.name)
def test_only_two_scripts_are_imported_and_nothing_is_read_as_html(file: Path) -> None:
    """ComfyUI warns about its other scripts. Content of files and workflows must never become an element."""
    text = file.read_text("utf-8")
    imported = re.findall(r"""^(?:import|export)\b[^;]*?from ["']([^"']+)["'];""", text, re.MULTILINE)
    allowed = re.compile(r"(\./|\.\./)(\w+/)?\w+\.mjs|(\.\./){3}scripts/(app|api)\.js")
    assert [name for name in imported if not allowed.fullmatch(name)] == []
    banned = r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\bimport\("
    found = re.findall(banned, re.sub(r"\{import\(|typeof import\(|\bimport\(\"\.[\w./]+\.mjs\"\)\.", "", text))
    assert found == []


def test_classes_and_colours_are_the_cores() -> None:
    classes, flipped, spaces = exported(
        "[CLASSES, FLIPPED, LABEL_SPACES]", "map/palette.mjs", "CLASSES", "FLIPPED", "LABEL_SPACES"
    )
    assert [(c["id"], c["name"], c["title"], tuple(c["rgb"])) for c in classes] == [
        (c.id, c.name, c.title, c.rgb) for c in CLASSES
    ]
    assert tuple(flipped) == FLIPPED
    assert spaces == ["auto", *LABEL_SPACES]


@pytest.mark.slow
def test_the_gallery_is_what_the_drawer_draws() -> None:
    """Compared by pixels, because deflate may pack the same pixels differently elsewhere."""
    stored = exported("STARTERS.map(({ title, painting }) => [title, painting])", "map/starters.mjs", "STARTERS")
    drawn = [(title, read_painting(text)) for title, text in starters.starters()]
    assert [title for title, _ in stored] == [title for title, _ in drawn]
    for (_, text), (title, ids) in zip(stored, drawn, strict=True):
        assert (read_painting(text) == ids).all(), f"{title}: run python -m mogle_core.toy.drawer.starters again"
