"""No deadline for examples: they are small, but the first one imports scipy, and the processor may be busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")
