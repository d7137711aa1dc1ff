"""The message for packages that only the extra `headless` installs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def headless() -> Iterator[None]:
    """Turn the lack of a package that the extra `headless` installs, such as OpenCV, into a sentence."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("mogle_core"):
            raise
        raise ValueError(
            f"This command needs the package {error.name}, which is not installed. In the folder of this "
            'repository: pip install -e ".[headless]"'
        ) from error
