"""Errors as the page shows them: ComfyUI puts the error's class, with the path of its module, before the sentence."""

from __future__ import annotations

import functools
from typing import Any

from comfy_api.latest import io

_PACK = __name__.rpartition(".nodes.")[0]


def with_plain_errors(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """Change a node so that messages of this pack's errors begin with the bare class name, such as MaskError.

    Inside ComfyUI a module's name is its file's path, so otherwise the message would begin with a path of the server.
    """
    execute: Any = node.execute.__func__

    @functools.wraps(execute)
    def run(cls: type[io.ComfyNode], *args: Any, **kwargs: Any) -> Any:
        try:
            return execute(cls, *args, **kwargs)
        except Exception as error:
            if type(error).__module__.startswith(f"{_PACK}."):
                error.__class__ = _plain(type(error))
            raise

    node.execute = classmethod(run)
    return node


def _plain(kind: type[Exception]) -> type[Exception]:
    """A subclass in `builtins`, so that ComfyUI shows no module. Code that catches `kind` also catches it."""
    return type(kind.__name__, (kind,), {"__module__": "builtins"})
