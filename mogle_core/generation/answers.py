"""A server's answers: read within limits of bytes and time, and checked before use."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from ..support.sentences import printable

MOST_JSON = 16 * 2**20
"""Bytes of a JSON answer; a long history with its workflow takes a few hundred thousand."""

_LONGEST_MESSAGE = 600
Kind = TypeVar("Kind")


class UnreachableError(Exception):
    """The server does not answer; another one may."""


class PromptError(Exception):
    """The server says that it cannot run this prompt, and why."""


class WrongAnswerError(Exception):
    """The server gives an answer that ComfyUI never gives; another server may work."""


@dataclass(frozen=True)
class Answer:
    """place: the address and the path, for messages. location: the target of a redirect."""

    place: str
    status: int
    content: bytes
    location: str = ""

    def checked(self) -> Answer:
        """This answer. Raises UnreachableError for 5xx, WrongAnswerError for any other status than 200."""
        if self.status >= 500:
            raise UnreachableError(f"{self.place} answers {self.status}: the server has a problem of its own.")
        if 300 <= self.status < 400:
            raise WrongAnswerError(
                f"{self.place} redirects to {said(self.location)}, which is not followed: give --server the address "
                "that answers itself."
            )
        if self.status != 200:
            raise WrongAnswerError(f"{self.place} answers {self.status}: is this a ComfyUI?")
        return self

    def object(self) -> dict[str, Any]:
        """The answer as a JSON object. Raises WrongAnswerError for anything else."""
        try:
            found = json.loads(self.content)
        except (ValueError, RecursionError) as error:
            raise WrongAnswerError(f"{self.place} does not answer in JSON: is this a ComfyUI?") from error
        return of_kind(found, dict, self.place)


async def fetch(http: httpx.AsyncClient, request: httpx.Request, most_bytes: int, seconds: float) -> Answer:
    """The whole answer, whatever its status.

    Raises:
        UnreachableError: no answer, or not within the time. WrongAnswerError: too long, or not HTTP.
    """
    where = place_of(request.url)
    try:
        return await asyncio.wait_for(_read(http, request, most_bytes, where), seconds)
    except (asyncio.TimeoutError, httpx.TimeoutException) as error:
        raise UnreachableError(f"{where} did not answer within {seconds:g} s.") from error
    except httpx.ProtocolError as error:
        raise UnreachableError(f"{where} breaks off its answer, or does not speak HTTP ({said(error)}).") from error
    except (httpx.HTTPError, OSError) as error:
        base = where.removesuffix(request.url.path)
        raise UnreachableError(
            f"There is no ComfyUI at {base} ({said(error)}): start it, with --listen if it is on another machine."
        ) from error
    except (httpx.InvalidURL, httpx.StreamError, ValueError) as error:
        raise WrongAnswerError(f"{where} gives an answer that cannot be read ({said(error)}).") from error


async def _read(http: httpx.AsyncClient, request: httpx.Request, most_bytes: int, where: str) -> Answer:
    response = await http.send(request, stream=True)
    content = bytearray()
    try:
        async for chunk in response.aiter_raw():  # never unpacked, because compression was not requested
            content += chunk
            if len(content) > most_bytes:
                raise WrongAnswerError(f"{where} sends more than {most_bytes:,} bytes; the rest was not read.")
    finally:
        await response.aclose()
    return Answer(where, response.status_code, bytes(content), response.headers.get("location", ""))


def of_kind(value: object, kind: type[Kind], where: str) -> Kind:
    """The value itself. Raises WrongAnswerError if it is of another type."""
    if not isinstance(value, kind):
        raise WrongAnswerError(f"{where} answers {type(value).__name__} where a ComfyUI gives {kind.__name__}.")
    return value


def said(words: object) -> str:
    """A server's text, as one short line that a terminal can show."""
    whole = str(words).encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be written to a file
    line = printable(" ".join(whole.split()))
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}..."


def place_of(url: httpx.URL) -> str:
    """The address without password and query."""
    return re.sub(r"//[^/@]*@", "//", str(url.copy_with(query=None, fragment=None)))
