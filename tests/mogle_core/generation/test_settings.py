"""Settings of a run: what is stored of them, and what a server is asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from mogle_core.generation.comfy import TOY_FILES, comfy_prompt
from mogle_core.generation.jobs import Job
from mogle_core.generation.settings import Settings, digest

JOB = Job("a", "A face.", 3, Path("a.png"))
EARLIER = {
    "width": 512,
    "height": 512,
    "steps": 28,
    "guidance": 3.5,
    "mask_guidance": None,
    "strength": 1.0,
    "local_masks": "correct",
    "label_space": "auto",
    "official": False,
}
"""The settings that files made before the refresh options carry."""


def test_pictures_made_before_the_refresh_options_are_known_again() -> None:
    ids = torch.zeros(4, 4, dtype=torch.uint8)
    assert Settings().stored() == EARLIER
    whole = {
        "prompt": "A face.",
        "seed": 3,
        "mask": hashlib.sha256(bytes(16)).hexdigest(),
        "settings": EARLIER,
        "backend": {},
    }
    expected = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]
    assert digest(JOB, ids, Settings(), {}) == expected


OTHERS = [Settings(refresh_every=0), Settings(refresh_schedule="adaptive"), Settings(mask_tokens="merged")]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_another_refresh_or_number_of_mask_tokens_is_another_picture(other: Settings) -> None:
    assert digest(JOB, None, other, {}) != digest(JOB, None, Settings(), {})


@pytest.mark.parametrize(("every", "schedule", "word"), [(-1, "even", "0 once a run"), (1, "odd", "dense early")])
def test_a_refresh_that_is_none(every: int, schedule: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Settings(refresh_every=every, refresh_schedule=schedule)


def test_a_server_is_asked_for_a_refresh_only_where_it_is_not_exact() -> None:
    def gated(settings: Settings) -> dict[str, object]:
        return dict(comfy_prompt(JOB, settings, TOY_FILES, "a.png")["gated"]["inputs"])

    assert not {"refresh_every", "refresh_schedule"} & set(gated(Settings()))
    once = gated(Settings(refresh_every=0, refresh_schedule="early, then once"))
    assert (once["refresh_every"], once["refresh_schedule"]) == (0, "early, then once")
    assert "mask_tokens" not in once
    assert gated(Settings(mask_tokens="merged"))["mask_tokens"] == "merged"
    assert "refresh_every" not in gated(Settings(mask_tokens="merged"))


def test_mask_tokens_that_are_none() -> None:
    with pytest.raises(ValueError, match="full or half or merged"):
        Settings(mask_tokens="quarter")
