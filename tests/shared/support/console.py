"""Errors that ComfyUI's page logs without this pack as well, each with its cause. All others fail the tests."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """An error of ComfyUI itself: its text, with address or stack, and its cause."""

    pattern: str
    reason: str

    def is_in(self, text: str) -> bool:
        return re.search(self.pattern, text) is not None


OF_THE_HOST = (
    Known(r"status of 404 .* \S+/user\.css$", "Every page asks for the user's own styles; a new user has none."),
    Known(r"status of 404 .* \S+/api/userdata\?dir=(workflows|subgraphs)\b", "A new user has no such folder yet."),
    Known(r"status of 404 .* \S+/api/userdata/comfy\.templates\.json$", "A new user has no node templates yet."),
    Known(r"status of 404 .* \S+/favicon\.ico$", "The browser asks for it before 1.27's page names its own."),
    Known(r"^ComfyApp graph accessed before initialization \S+/assets/settingStore-", "1.49, when settings load."),
    Known(
        r"https://huggingface\.co/Comfy-Org/.* Content Security Policy.* \S+/assets/missingModelMetadata-",
        "1.49 and newer ask how large the default workflow's missing models are; the host forbids it.",
    ),
    Known(
        r"^Cannot read properties of undefined \(reading 'id'\)\n.*\n *at onChange \(\S+/assets/index-BKeTeXLp",
        "1.27.10, when it opens its first workflow.",
    ),
)


OF_THE_PACK = (
    Known(r"status of 40[45] .* \S+/jobs/[0-9a-f-]{36}/cancel$", "0.3.64 has no such route; Live asks once a page."),
    Known(r"status of 400 .* \S+/api/prompt$", "The answer to a prompt with a wrong value; Live shows the reason."),
    Known(
        r"status of 4\d\d .* \S+/mogle/painting",
        "The answer to a file that is not a mask, or a part that does not fit; the painter shows why.",
    ),
)


def is_of_the_host(text: str) -> bool:
    """Whether an error, followed by its address or stack, comes from ComfyUI itself."""
    return any(known.is_in(text) for known in (*OF_THE_HOST, *OF_THE_PACK))
