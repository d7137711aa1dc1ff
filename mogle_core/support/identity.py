"""Numbers for objects that live as long as they do, and that no other object is ever given."""

from __future__ import annotations

import itertools
from weakref import WeakKeyDictionary

_numbers: WeakKeyDictionary[object, int] = WeakKeyDictionary()
_next_number = itertools.count()


def identity(thing: object) -> int:
    """The object's number. Unlike `id`, it is not given again after the object was freed."""
    if thing not in _numbers:
        _numbers[thing] = next(_next_number)
    return _numbers[thing]
