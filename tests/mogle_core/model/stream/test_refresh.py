"""When keys are made anew: the schedules, step by step, and what is refused."""

from __future__ import annotations

import pytest
import torch

from mogle_core.model.stream.attention import StreamOptions
from mogle_core.model.stream.refresh import Refresh, moved


def sources(refresh: Refresh, steps: int) -> list[int]:
    return [refresh.source(step, steps) for step in range(steps)]


def test_even_steps() -> None:
    assert sources(Refresh(), 4) == [0, 1, 2, 3]
    assert sources(Refresh(3), 7) == [0, 0, 0, 3, 3, 3, 6]


def test_a_dense_start() -> None:
    assert sources(Refresh(3, "dense early"), 10) == [0, 1, 2, 3, 3, 3, 6, 6, 6, 9]


def test_once_a_run() -> None:
    assert sources(Refresh(0), 5) == [0] * 5
    assert sources(Refresh(0, "dense early"), 10) == [0, 1, 2, 3, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("every", [0, 1, 4])
def test_early_then_once_does_not_count_steps(every: int) -> None:
    assert sources(Refresh(every, "early, then once"), 10) == [0, 1, 2, 3, 3, 3, 3, 3, 3, 3]


def test_what_is_exact() -> None:
    assert Refresh().exact
    assert Refresh(1, "dense early").exact
    assert not Refresh(0).exact
    assert not Refresh(2).exact
    assert not Refresh(1, "early, then once").exact
    assert not Refresh(1, "adaptive").exact


def test_the_picture_that_moved_most_counts() -> None:
    before = torch.ones(3, 2, 4)
    after = before * torch.tensor([1.0, 0.75, 1.5])[:, None, None]
    assert moved(before, after) == pytest.approx(0.5)
    assert moved(before, before) == 0
    assert moved(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)) == 0


def test_only_more_than_the_threshold_is_stale() -> None:
    refresh, before = Refresh(schedule="adaptive", threshold=0.25), torch.ones(1, 2, 4)
    assert not refresh.stale(before, before * 1.25)
    assert refresh.stale(before, before * 1.26)


@pytest.mark.parametrize(("every", "schedule", "word"), [(-1, "even", "0 once a run"), (2, "odd", "dense early")])
def test_other_settings_are_refused(every: int, schedule: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Refresh(every, schedule)


INEXACT = [Refresh(2), Refresh(0), Refresh(1, "early, then once"), Refresh(1, "adaptive")]


@pytest.mark.parametrize("options", [StreamOptions(latent_lora=True), StreamOptions(add_condition_attention=True)])
@pytest.mark.parametrize("refresh", INEXACT, ids=str)
def test_options_that_need_the_mask_tokens_are_refused(refresh: Refresh, options: StreamOptions) -> None:
    Refresh().check(options)
    with pytest.raises(ValueError, match="set refresh_every to 1"):
        refresh.check(options)
