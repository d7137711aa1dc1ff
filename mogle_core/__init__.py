"""Face-MoGLE's method (arXiv 2509.00428) in plain torch. Nothing in this package imports ComfyUI."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__: str
"""The `version` in pyproject.toml, read on first access."""


def _read_version() -> str:
    """Read it from the pyproject.toml beside this package, or else from the installed package.

    Inside ComfyUI the package is not installed, and an installed one may be older than the folder that runs.
    """
    import re
    from importlib import metadata
    from pathlib import Path

    beside = Path(__file__).parents[1] / "pyproject.toml"
    # Python 3.10 has no tomllib, and ComfyUI does not install another TOML reader.
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


if not TYPE_CHECKING:  # a type checker would otherwise accept any name as an attribute

    def __getattr__(name: str) -> str:
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = version = _read_version()
        return version
