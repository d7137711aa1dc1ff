"""A finding of `mogle doctor`, as a line and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "missing", "wrong"]


@dataclass(frozen=True)
class Finding:
    """subject: a package, a device, a file, a folder. says: a sentence or a version.

    status: `wrong` for something present but unusable; `missing` for something absent, which may be intended.
    """

    subject: str
    says: str
    status: Status = "ok"

    @property
    def line(self) -> str:
        if self.status == "ok" and self.says[:1].isdecimal():  # a version
            return f"{self.subject} {self.says}"
        mark = {"ok": "", "missing": "MISSING. ", "wrong": "NOT USABLE. "}[self.status]
        return f"{self.subject}: {mark}{self.says}"
