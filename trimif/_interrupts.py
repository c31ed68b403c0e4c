"""Context managers that Ctrl-C can't cut in half.

Outside Trio's own code a KeyboardInterrupt may be raised between any two instructions, also in the few lines of
`contextlib` between "entered" and the body of the ``with``: what was entered there would never be left, and a scope
tree that waits for it would wait for ever. These let it happen at checkpoints only, as Trio's own nurseries do.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import wraps
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

import trio

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Protected(AbstractContextManager[T_co, bool | None], Generic[T_co]):
    def __init__(self, manager: AbstractContextManager[T_co, bool | None]) -> None:
        self._manager = manager
        self._entered = False

    @trio.lowlevel.enable_ki_protection
    def __enter__(self) -> T_co:
        self._entered = _once(self._entered)
        return self._manager.__enter__()

    @trio.lowlevel.enable_ki_protection
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._manager.__exit__(kind, error, traceback)


class _ProtectedAsync(AbstractAsyncContextManager[T_co, bool | None], Generic[T_co]):
    def __init__(self, manager: AbstractAsyncContextManager[T_co, bool | None]) -> None:
        self._manager = manager
        self._entered = False

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> T_co:
        self._entered = _once(self._entered)
        return await self._manager.__aenter__()

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(kind, error, traceback)


def _once(entered: bool) -> bool:
    if entered:
        raise RuntimeError("this context manager has been entered already; make a new one for each `with`")
    return True


def protected(
    function: Callable[P, AbstractContextManager[T, bool | None]],
) -> Callable[P, AbstractContextManager[T, bool | None]]:
    """For a function decorated with `contextlib.contextmanager`: what it does is done whole, or not at all."""

    @wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> AbstractContextManager[T, bool | None]:
        return _Protected(function(*args, **kwargs))

    return make


def protected_async(
    function: Callable[P, AbstractAsyncContextManager[T, bool | None]],
) -> Callable[P, AbstractAsyncContextManager[T, bool | None]]:
    """The same with `contextlib.asynccontextmanager`; what it does between two checkpoints is done whole."""

    @wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> AbstractAsyncContextManager[T, bool | None]:
        return _ProtectedAsync(function(*args, **kwargs))

    return make
