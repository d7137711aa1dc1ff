"""Distributes orders over several servers: each goes to a free server, and to another one after a failure."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import cast

from torch import Tensor

from .answers import PromptError, UnreachableError, WrongAnswerError
from .backend import BackendError, Order
from .client import Client

logger = logging.getLogger(__name__)

Made = tuple[Order, "Tensor | Exception"]
Paint = Callable[[Client, Order], Awaitable[Tensor]]

TRIES = 4
"""How often an order is repeated because its server stopped answering."""

STRIKES = 3
"""Consecutive wrong answers after which a server pauses, if there are others."""

_IDLE = 0.05
_AHEAD = 2
"""Pictures for each server that may wait to be written before new requests stop."""


@dataclass
class _Task:
    """An order, the servers that failed at it, and how often one stopped answering during it."""

    order: Order
    wrong: set[str] = field(default_factory=set)
    silent: int = 0


class Pool:
    """Servers and their orders. A pool lives for one call of `run`.

    grace: seconds for which all servers may be silent before the run gives up.
    absent: addresses of servers that did not answer at first, and their errors.
    """

    def __init__(self, clients: Sequence[Client], paint: Paint, grace: float, absent: dict[str, str]) -> None:
        self.clients, self.paint, self.grace = clients, paint, grace
        self._silent: dict[str, float] = dict.fromkeys(absent, time.monotonic())
        self._last = next(reversed(absent.values()), "")
        self._again: list[_Task] = []
        self._out = 0
        self._exhausted = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._made: SimpleQueue[Made | BaseException | None] = SimpleQueue()

    def run(self, orders: Iterator[Order]) -> Iterator[Made]:
        """Yield pictures or errors as they come. Orders are taken from the iterator when a server is free.

        A separate thread talks to the servers. Nothing waits for it, so Ctrl-C ends at once.

        Raises:
            BackendError: all servers have been silent for too long.
        """
        self._orders = orders
        thread = threading.Thread(target=self._talk, daemon=True, name="mogle-servers")
        thread.start()
        try:
            while (made := self._next_made()) is not None:
                if isinstance(made, BaseException):
                    raise made
                yield made
        except KeyboardInterrupt:
            yield from self._left_over()
            raise
        finally:
            self._stop()

    def _stop(self) -> None:
        self._exhausted, self._again = True, []
        if self._running is not None:
            loop, everything = self._running
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(everything.cancel)

    def _next_made(self) -> Made | BaseException | None:
        while True:
            try:
                return self._made.get(timeout=0.2)  # an endless wait cannot be interrupted on Windows
            except Empty:
                continue

    def _left_over(self) -> Iterator[Made]:
        """The finished pictures, so that an interrupted run keeps them."""
        while not self._made.empty():
            made = self._made.get()
            if isinstance(made, tuple):
                yield made

    def _talk(self) -> None:
        try:
            asyncio.run(self._serve_all())
        except asyncio.CancelledError:
            return
        except BaseException as error:  # the consumer of the pictures raises it
            self._made.put(error)
        else:
            self._made.put(None)

    async def _serve_all(self) -> None:
        self._running = asyncio.get_running_loop(), cast("asyncio.Task[None]", asyncio.current_task())
        clients = [client.opened() for client in self.clients]
        try:
            await asyncio.gather(*map(self._serve, clients))
        finally:
            await asyncio.gather(*(client.close() for client in clients))

    async def _serve(self, client: Client) -> None:
        wrong = 0  # answers in a row
        if client.url in self._silent:
            await self._wait_for(client)
        while not self._is_over():
            task = self._next_task(client)
            if task is None:
                await asyncio.sleep(_IDLE)
                continue
            problem = await self._attempt(client, task)
            wrong = wrong + 1 if isinstance(problem, WrongAnswerError) else 0
            if isinstance(problem, UnreachableError) or (wrong >= STRIKES and len(self.clients) > 1):
                wrong = 0
                self._leave_out(client, problem)
                await self._wait_for(client)

    async def _attempt(self, client: Client, task: _Task) -> Exception | None:
        """Try one order at one server; return the problem with the server, if any."""
        try:
            self._made.put((task.order, await self.paint(client, task.order)))
        except PromptError as error:
            self._made.put((task.order, error))
        except UnreachableError as error:
            task.silent += 1
            self._put_back(task, error, task.silent > TRIES)
            return error
        except WrongAnswerError as error:
            task.wrong.add(client.url)
            self._put_back(task, error, self._is_last(task))
            return error
        finally:
            self._out -= 1
        return None

    def _put_back(self, task: _Task, error: Exception, gives_up: bool) -> None:
        if gives_up:
            self._made.put((task.order, error))
        else:
            self._again.append(task)

    def _next_task(self, client: Client) -> _Task | None:
        """The next task: first one that another server failed at. None while this server has none."""
        for number, task in enumerate(self._again):
            if client.url not in task.wrong or self._is_last(task):
                self._out += 1
                return self._again.pop(number)
        if self._exhausted or self._made.qsize() > _AHEAD * len(self.clients):
            return None
        order = next(self._orders, None)
        if order is None:
            self._exhausted = True
            return None
        self._out += 1
        return _Task(order)

    def _is_last(self, task: _Task) -> bool:
        """Whether every server that answers has failed at it."""
        return all(each.url in task.wrong for each in self.clients if each.url not in self._silent)

    def _is_over(self) -> bool:
        return self._exhausted and not self._again and not self._out

    def _leave_out(self, client: Client, error: Exception | None) -> None:
        logger.warning("%s is left out until it answers again: %s", client.place, error)
        self._last = str(error)
        self._silent[client.url] = time.monotonic()

    async def _wait_for(self, client: Client) -> None:
        """Wait until the server answers or all work is done. Raises BackendError if all are silent for too long."""
        pause = min(1.0, self.grace / 4)
        while not self._is_over():
            await asyncio.sleep(pause)
            pause = min(2 * pause, 15.0, max(self.grace / 4, _IDLE))
            try:
                await client.check()
            except (UnreachableError, PromptError) as error:
                self._last = str(error)
                everybody = len(self._silent) == len(self.clients)
                if everybody and time.monotonic() - max(self._silent.values()) >= self.grace:
                    raise BackendError(f"None of the servers answers any more. {self._last}") from error
                continue
            del self._silent[client.url]
            logger.info("%s answers again.", client.place)
            return
