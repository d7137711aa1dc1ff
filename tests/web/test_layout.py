"""How the editor looks: sizes of the window, fingers, ComfyUI's themes, contrast, and the help that scrolls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.browser import ComfyPage
from support.editing import EDITOR, Editor

THEME = "Comfy.ColorPalette"
# Every text and pictogram that is shown, with its contrast to what lies below it.
CONTRASTS = """(() => {
    const { document } = editor.page;
    const view = document.defaultView;
    const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const parsed = (colour) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], ground) => [r, g, b].map((value, i) => value * a + ground[i] * (1 - a));
    const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    const luminance = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => sum + share * linear(rgb[i]), 0);
    const chain = (element) => (element ? [...chain(element.parentElement), element] : []);
    const texts = [...document.body.querySelectorAll('*')].filter((element) => {
        const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        const isField = element.tagName === 'INPUT' && ['number', 'search', 'text'].includes(element.type);
        const isDrawn = isText || isField || element.classList.contains('icon');
        return isDrawn && element.checkVisibility({ opacityProperty: true });
    });
    return texts.map((element) => {
        let ground = [0, 0, 0];
        let opacity = 1;
        for (const one of chain(element)) {
            const style = view.getComputedStyle(one);
            ground = over(parsed(style.backgroundColor), ground);
            opacity *= Number(style.opacity);
        }
        const [r, g, b, a] = parsed(view.getComputedStyle(element).color);
        const text = over([r, g, b, a * opacity], ground);
        const [dark, light] = [luminance(text), luminance(ground)].sort((x, y) => x - y);
        const name = element.closest('button')?.ariaLabel ?? element.textContent.trim() ?? '';
        return [`${element.tagName} ${name}`, (light + 0.05) / (dark + 0.05)];
    });
})()"""


@pytest.fixture
def window(editor: Editor) -> Iterator[Callable[[int, int], None]]:
    """Sets the window's size; the usual one comes back."""

    def resize(width: int, height: int) -> None:
        editor.page.set_viewport_size({"width": width, "height": height})
        editor.page.wait_for_function(f"() => {EDITOR}.page.document.documentElement.clientWidth === {width}")

    yield resize
    resize(1400, 900)


def fits(editor: Editor, name: str) -> bool:
    """Whether nothing of an element lies outside of it."""
    return bool(
        editor.js(
            """(({ scrollWidth, clientWidth, scrollHeight, clientHeight }) =>
            scrollWidth <= clientWidth && scrollHeight <= clientHeight)(editor.page.document.querySelector(given))""",
            name,
        )
    )


@pytest.mark.parametrize("has_photo", [False, True])
def test_a_small_laptop_has_one_row_and_every_tool(editor: Editor, window: Callable, has_photo: bool) -> None:
    window(1280, 720)
    if has_photo:
        editor.do("""
            const canvas = new OffscreenCanvas(8, 8);
            canvas.getContext('2d').fillRect(0, 0, 8, 8);
            editor.photo.picture = canvas.transferToImageBitmap();
            editor.refresh();
            """)
    assert fits(editor, ".top") and fits(editor, ".tools")
    heights = editor.js("[...editor.page.document.querySelector('.top').children].map((one) => one.offsetTop)")
    assert editor.js("editor.page.document.querySelector('.top').clientHeight") < 60 and max(heights) < 20
    editor.do("editor.photo.picture = null; editor.refresh();")


def test_the_pencils_settings_fit_the_row_and_have_names_to_read(editor: Editor, window: Callable) -> None:
    window(1280, 720)
    editor.keys("d")
    assert fits(editor, ".top") and fits(editor, ".tools")
    inputs = "[...editor.topBar.pencilGroup.querySelectorAll('input')].filter((one) => one.clientWidth)"
    sliders = editor.js(f"{inputs}.filter((one) => one.type === 'range').map((one) => [one.clientWidth, one.title])")
    assert len(sliders) == 2 and all(width > 30 and name for width, name in sliders)
    editor.keys("n")
    assert editor.frame.get_by_label("Label space of the file or mask").is_visible()
    editor.keys("Escape")
    window(834, 1112)
    assert editor.js(f"{inputs}.map((one) => one.type)") == ["number", "number"]
    editor.keys("b")


def test_a_tablet_upright_has_readable_names_and_a_panel_that_folds(editor: Editor, window: Callable) -> None:
    window(820, 1180)
    titles = "[...editor.page.document.querySelectorAll('.classes .title')]"
    assert editor.js(f"{titles}.filter((one) => one.scrollWidth > one.clientWidth).length") == 0
    editor.keys("f")
    rim = "editor.page.document.querySelector('.rim')"
    assert editor.js(f"editor.scene.view.x > {rim}.offsetLeft + {rim}.offsetWidth"), "the rim covers the sheet"
    width = editor.js("editor.page.canvas.clientWidth")
    assert editor.button("Done").is_visible() and width > 480
    editor.keys("y")
    assert editor.js("editor.page.canvas.clientWidth") > width + 200
    slider = editor.frame.get_by_label("Brush size at the canvas' edge")
    box = slider.bounding_box()
    assert box is not None and box["height"] > 150 and box["x"] < 140
    slider.focus()
    editor.keys("End")
    assert editor.js("editor.brush.size") == 256
    editor.keys("Home")
    assert editor.js("editor.brush.size") == 1
    editor.frame.get_by_label("Choose a class; now skin").click()
    editor.frame.get_by_role("menuitemradio", name="hat", exact=True).click()
    assert editor.js("editor.classes.chosen") == 14
    editor.keys("y")


def test_fingers_have_forty_pixels(editor: Editor) -> None:
    session = editor.page.context.new_cdp_session(editor.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    session.send("Emulation.setEmitTouchEventsForMouse", {"enabled": True, "configuration": "mobile"})
    try:
        editor.page.wait_for_function("() => matchMedia('(pointer: coarse)').matches")
        sizes = editor.js("""[...editor.page.document.querySelectorAll('button')]
            .filter((one) => one.checkVisibility()).map(({ offsetWidth: w, offsetHeight: h, ariaLabel, dataset }) =>
                [ariaLabel ?? dataset.class, w, h])""")
        marks = editor.js("editor.page.document.querySelectorAll('.row.chosen .mark').length")
        assert marks == 4 and min(min(w, h) for _, w, h in sizes) >= 40, [one for one in sizes if min(one[1:]) < 40]
    finally:
        session.send("Emulation.setEmitTouchEventsForMouse", {"enabled": False})
        session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
        session.detach()


def test_the_help_shows_that_it_scrolls(editor: Editor, window: Callable) -> None:
    window(1280, 720)
    editor.keys("?")
    hint = editor.frame.get_by_text("More below")
    hint.wait_for()
    assert editor.js("getComputedStyle(editor.page.document.querySelector('.scrolling')).overflowY") == "scroll"
    editor.frame.get_by_role("region", name="Keys and help").focus()
    editor.keys("End")
    hint.wait_for(state="hidden")
    editor.keys("Escape")
    editor.frame.locator("dialog").wait_for(state="detached")


def test_names_at_the_pointer(editor: Editor) -> None:
    editor.box(13, 0, 0, 32, 64)
    tag = editor.frame.locator(".tag")
    for x, name in ((10, "hair"), (50, "background")):
        editor.page.mouse.move(*editor.at(x, 20))
        editor.frame.locator(".tag", has_text=name).wait_for()
    editor.page.mouse.down()
    editor.page.mouse.move(*editor.at(40, 30))
    tag.wait_for(state="hidden")
    editor.page.mouse.up()
    tag.wait_for()
    editor.keys("Shift+t")
    tag.wait_for(state="hidden")
    editor.keys("Shift+t")


def test_the_classes_at_the_pointer(editor: Editor) -> None:
    place = editor.at(40, 40)
    editor.page.mouse.click(*place, button="right")
    menu = editor.frame.get_by_role("menu")
    menu.wait_for()
    box = menu.bounding_box()
    assert box is not None and abs(box["x"] - place[0]) < 3 and abs(box["y"] - place[1]) < 3
    menu.get_by_role("menuitemradio", name="hat", exact=True).click()
    menu.wait_for(state="detached")
    assert editor.js("editor.classes.chosen") == 14 and not editor.ids.any()
    editor.keys("Shift+c", "ArrowRight", "Enter")
    editor.keys("ContextMenu", "ArrowRight", "Enter")
    assert editor.js("editor.classes.chosen") == 16
    editor.keys("Shift+c", "2")
    assert editor.js("editor.classes.chosen") == 2
    editor.keys("Shift+c", "Escape")
    editor.page.mouse.click(*editor.at(60, 60), button="right")
    editor.click(5, 5)
    menu.wait_for(state="detached")
    assert not editor.ids.any()
    editor.click(5, 5)
    assert editor.area(2) == 1


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_text_can_be_read_in_comfyuis_theme(visit: Callable[[bool], ComfyPage], theme: str) -> None:
    comfy = visit(False)
    try:
        comfy.do_js(f"return app.extensionManager.setting.set('{THEME}', given)", theme)
        editor = comfy.edit()
        editor.frame.locator("dialog").wait_for()
        assert_readable(editor)  # the gallery
        editor.keys("Escape")
        editor.empty()
        editor.box(13, 0, 0, 20, 20)
        editor.box(4, 30, 0, 2, 2)
        editor.keys("Shift+o", "Shift+l")
        editor.frame.locator(".advice li").first.wait_for()
        editor.page.mouse.move(*editor.at(10, 10))
        editor.do("editor.page.say('A sentence');")
        assert_readable(editor)
        editor.keys("Shift+c")
        assert_readable(editor)
        editor.keys("Escape", "?")
        editor.frame.locator("dialog").wait_for()
        assert_readable(editor)
        editor.keys("Escape")
        family = "getComputedStyle({}).fontFamily"
        assert editor.js(family.format("editor.page.document.body")) == comfy.js(family.format("document.body"))
        scheme = "getComputedStyle(editor.page.document.documentElement).colorScheme"
        assert editor.js(scheme) == theme
        assert editor.js("getComputedStyle(editor.page.root.querySelector('.top')).backgroundColor") == comfy.js(
            "(() => { const probe = document.body.appendChild(document.createElement('b'));"
            "probe.style.color = 'var(--comfy-menu-bg)'; return getComputedStyle(probe).color })()"
        )
        editor.keys("Shift+u")
        editor.leave()
    finally:
        comfy.do_js(f"return app.extensionManager.setting.set('{THEME}', 'dark')")
    comfy.leave()


def assert_readable(editor: Editor) -> None:
    """Every text has a contrast of 4.5:1."""
    found = editor.js(CONTRASTS)
    assert len(found) > 60
    assert [(name, round(ratio, 2)) for name, ratio in found if ratio < 4.5] == []
