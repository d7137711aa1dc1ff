"""The check for errors in the page: it catches ours, and ignores only ComfyUI's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.browser import ComfyPage, wait_until
from support.console import OF_THE_HOST, is_of_the_host

ADDRESS = "http://127.0.0.1:8188"
NOT_FOUND = "Failed to load resource: the server responded with a status of 404 (Not Found)"


@pytest.mark.parametrize(
    "text",
    [
        f"MoGLE painter: Error: no room {ADDRESS}/extensions/ComfyUI-MoGLE/painter/widget.mjs",
        f"{NOT_FOUND} {ADDRESS}/extensions/ComfyUI-MoGLE/painter/gone.mjs",
        f"{NOT_FOUND} {ADDRESS}/api/userdata/other.json",
        "Cannot read properties of undefined (reading 'id')\nTypeError: Cannot read\n    at open (widget.mjs:1:1)",
    ],
)
def test_ours_are_not_the_hosts(text: str) -> None:
    assert not is_of_the_host(text)


def test_every_exception_has_its_reason() -> None:
    assert is_of_the_host(f"{NOT_FOUND} {ADDRESS}/api/userdata/user.css")
    assert all(known.reason.endswith(".") for known in OF_THE_HOST)


def test_errors_rejections_and_foreign_requests_are_caught(visit: Callable[[bool], ComfyPage]) -> None:
    comfy = visit(False)
    comfy.page.route("http://elsewhere.invalid/**", lambda route: route.abort())
    comfy.do_js("console.error('said'); setTimeout(() => { throw new Error('thrown') }); Promise.reject(Error('left'))")
    comfy.do_js("new Image().src = 'http://elsewhere.invalid/picture.png'")

    def is_heard() -> bool:
        comfy.page.wait_for_timeout(50)  # playwright tells of events only while it is asked for something
        said = "\n".join(comfy.complaints)
        return all(word in said for word in ("said", "thrown", "left")) and len(comfy.strangers) > 0

    wait_until(is_heard)
    assert comfy.strangers == ["http://elsewhere.invalid/picture.png"]
    comfy.page.close()
