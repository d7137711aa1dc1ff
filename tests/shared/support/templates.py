"""Finds templates by their titles. Their files are named NUMBER TITLE - MODELS.json, with the models toy or FLUX."""

from __future__ import annotations

from pathlib import Path

from support.places import REPOSITORY

FOLDER = REPOSITORY / "example_workflows"
ALL = sorted(FOLDER.glob("*.json"))
TOYS = [path for path in ALL if path.stem.endswith(" - toy")]
FULL = [path for path in ALL if path.stem.endswith(" - FLUX")]


def template(title: str, models: str = "toy") -> Path:
    (path,) = FOLDER.glob(f"[0-9][0-9] {title} - {models}.json")
    return path
