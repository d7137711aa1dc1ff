"""Functions as other code left them: wrapped, bound or compiled, and what they are made of."""

from __future__ import annotations

from functools import partial
from typing import Any


def innermost(function: Any) -> Any:
    """The plain function inside a bound method, a partial, or a decorated or compiled function."""
    while True:
        if isinstance(function, partial):
            function = function.func
        for name in ("__func__", "_torchdynamo_orig_callable", "__wrapped__"):
            if (inner := getattr(function, name, None)) is not None:
                function = inner
                break
        else:
            return function


def describe(what: Any) -> str:
    """A class or function with the module it is from, as a reader of the log can look for it."""
    return f"{getattr(what, '__qualname__', what)} of {getattr(what, '__module__', 'an unknown module')}"


def mentions(function: Any, word: str) -> bool:
    """Whether a function's own code has this name or constant; False where there is no code to look at."""
    function = innermost(function)
    if callable(function) and not hasattr(function, "__code__") and not isinstance(function, type):
        function = innermost(type(function).__call__)  # an object that is called like a function
    code = getattr(function, "__code__", None)
    return code is not None and word in (*code.co_names, *code.co_consts, *code.co_varnames)
