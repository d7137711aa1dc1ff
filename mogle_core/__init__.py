"""Face-MoGLE's method (arXiv 2509.00428) in plain torch: nothing in here imports ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__: str
"""The `version` of pyproject.toml, read when somebody asks for it."""


def _read_version() -> str:
    """From the pyproject.toml beside this package, else from what pip installed.

    Inside ComfyUI nothing is installed, and an installed package may be older than the folder that runs.
    """
    import re
    from importlib import metadata
    from pathlib import Path

    beside = Path(__file__).parents[1] / "pyproject.toml"
    # Python 3.10 has no tomllib, and ComfyUI brings no other reader of TOML.
    text = beside.read_text("utf-8") if beside.is_file() else ""
    section = re.search(r"^\[project\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    fields: dict[str, str] = {}
    if section:
        fields.update(re.findall(r'^(name|version) = "(.*)"', section[1], re.MULTILINE))
    if fields.get("name") == "face-mogle" and "version" in fields:
        return fields["version"]
    try:
        return metadata.version("face-mogle")
    except metadata.PackageNotFoundError:
        return "unknown"


if not TYPE_CHECKING:  # a type checker would take every name for one that is here

    def __getattr__(name: str) -> str:
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = _read_version()
        return found
