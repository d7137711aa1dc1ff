"""The progress bar says how many workers a cluster has, and nothing of them without one."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from mogle_core.support.progress import Progress, show_workers


@pytest.fixture(autouse=True)
def no_workers() -> Iterator[None]:
    yield
    show_workers(None)


def shown() -> str:
    file = io.StringIO()
    with Progress(total=4, desc="pictures", unit="picture", file=file, mininterval=0) as bar:
        bar.update(2)
        return str(bar)


def test_workers_are_part_of_the_line_while_there_is_a_cluster() -> None:
    assert "worker" not in shown()
    show_workers(3)
    line = shown()
    assert "3 workers" in line
    assert "2/4" in line
    assert "picture/s" in line or "s/picture" in line
    show_workers(1)
    assert "1 worker]" in shown()
    show_workers(None)
    assert "worker" not in shown()


def test_it_comes_after_what_else_the_bar_says() -> None:
    show_workers(2)
    bar = Progress(total=4, file=io.StringIO())
    bar.set_postfix_str("loss 0.1", refresh=False)
    assert "loss 0.1, 2 workers" in str(bar)
    bar.close()
