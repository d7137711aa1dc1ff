"""Sentences for people: numbers that agree with their nouns, and what to do about an error."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from .arguments import option_of
from .whole_files import is_disk_full

_OF_THE_SYSTEM = {
    errno.ENOENT: "{place} does not exist",
    errno.EACCES: "{place} may not be read or written by this user",
    errno.EPERM: "{place} may not be changed by this user",
    errno.EROFS: "{place} is on a file system that is mounted read-only",
    errno.EISDIR: "{place} is a folder; a file was expected",
    errno.ENOTDIR: "{place} is not a folder, or lies in something that is not a folder",
    errno.EEXIST: "{place} exists already and is not a folder",
    errno.ENOSPC: "The disk of {place} is full: free some space and start the command again",
    errno.EDQUOT: "The disk quota for {place} is used up: free some space and start the command again",
    errno.ENAMETOOLONG: "The name {place} is longer than the file system allows",
    errno.EMFILE: "Too many files are open: raise the limit with `ulimit -n`",
    errno.ELOOP: "{place} is a symbolic link that leads back to itself",
}

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

FULL_DISK = "The disk is full: free some space and start the command again."


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 picture`, `2 pictures`, `1,200 pictures`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def sentence_of(error: BaseException, given: Mapping[str, object]) -> str:
    """An error as a sentence for the person who called the command. given: the values of its options by name."""
    if isinstance(error, OSError) and error.errno is not None:
        return _of_the_system(error, given)
    if isinstance(error, UnicodeDecodeError):
        return f"A text file is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start}): save it as UTF-8."
    if isinstance(error, RecursionError):
        return "A JSON or TOML file is nested too deeply to be read: it was damaged, or made for something else."
    if not isinstance(error, ValueError) and is_disk_full(error):
        return FULL_DISK
    if _is_out_of_memory(error):
        return "Memory does not suffice: choose a smaller --size or --batch, or close other programs."
    if type(error).__name__ == "SafetensorError":
        return f"A .safetensors file cannot be read ({error}): it was cut, or is not a .safetensors file."
    if isinstance(error, ValueError) and str(error):
        return str(error)
    return (
        f"an unexpected {type(error).__name__} {_place_of(error)}: {error}\nThis is a defect of mogle. Set "
        "MOGLE_TRACEBACK=1, run the command again, and report what it prints."
    )


def printable(text: str) -> str:
    """The text without control characters, so that text from a server or a file cannot control the terminal."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def _of_the_system(error: OSError, given: Mapping[str, object]) -> str:
    path = error.filename2 or error.filename
    place = "the output" if path is None else str(path)
    option = option_of(place, given)
    words = _OF_THE_SYSTEM.get(error.errno or 0, "{place}: " + (error.strerror or "input or output failed"))
    where = f" (given by {option})" if option else ""
    return f"{words.format(place=place)}{where}."


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if "torch" not in sys.modules:  # explaining an error must not import anything
        return False
    from .memory import is_out_of_memory

    return isinstance(error, Exception) and is_out_of_memory(error)


def _place_of(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"in {Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
