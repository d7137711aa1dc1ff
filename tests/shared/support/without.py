"""Test files that cannot run here are skipped, and the end of the run reports it."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from support import hosts

# `.ci/run` sets it where it tests the hosts next, each in an environment of its own.
TESTED_LATER = "FACE_MOGLE_HOSTS_TESTED_LATER"


@functools.cache
def why_no_host() -> str:
    """Empty if there is a ComfyUI that this interpreter can start, otherwise what is needed.

    A COMFYUI_PATH that is not a ComfyUI ends the whole run with a sentence.
    """
    try:
        hosts.choose()
    except hosts.NoHostError as reason:
        return str(reason)
    except ValueError as wrong:
        pytest.exit(f"{wrong} Set it to a ComfyUI, or unset it to test without one.", pytest.ExitCode.USAGE_ERROR)
    return ""


class Without(pytest.Module):
    """A test file that cannot even be imported here."""

    why: str

    def collect(self) -> list[pytest.Item]:
        pytest.skip(self.why, allow_module_level=True)


def skipped(path: Path, parent: pytest.Collector, why: str) -> Without:
    module = Without.from_parent(parent, path=path)
    module.why = why
    return module
