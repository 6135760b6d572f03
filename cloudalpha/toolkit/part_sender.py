"""PartSender: the parts of one upload that are under way, a bounded number of them, each repeated by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future

from cloudalpha.exceptions import AccessFailedFileSystemError, FileSystemError
from cloudalpha.toolkit.part_bodies import PartBody
from cloudalpha.toolkit.part_store import PartStore, Receipt
from cloudalpha.toolkit.retry import Retry


class PartSender:
    """Sends parts by the threads of an executor. `put`, `copy`, `wait` and `cancel` belong to one thread at a time.

    release: takes a body that is not needed any more; called by any thread.
    """

    def __init__(
        self,
        path: str,
        store: PartStore,
        executor: Executor,
        retry: Retry,
        max_in_flight: int,
        release: Callable[[PartBody], None],
    ) -> None:
        self.parts: dict[int, Receipt] = {}
        self._path = path
        self._store = store
        self._executor = executor
        self._retry = retry
        self._max_in_flight = max_in_flight
        self._release = release
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._in_flight: dict[int, PartBody | None] = {}
        self._futures: dict[int, Future[None]] = {}
        self._failure: BaseException | None = None
        self._when_idle: Callable[[], None] | None = None

    @property
    def stop(self) -> threading.Event:
        """Set by `cancel`; ends the pauses between attempts."""
        return self._stop

    def put(self, number: int, body: PartBody) -> None:
        """Send a part; waits while too many are under way. Raises the error of any earlier part; the body is released in any case."""

        def send() -> Receipt:
            body.seek(0)
            return self._store.put_part(number, body)

        self._start(number, body, send)

    def copy(self, number: int, start_byte: int, num_bytes: int) -> None:
        """Have the service copy a range as a part. Otherwise as `put`."""
        self._start(number, None, lambda: self._store.copy_part(number, start_byte, num_bytes))

    def check(self) -> None:
        """Raise the error of a part, if there was one."""
        failure = self._failure
        if isinstance(failure, FileSystemError):
            raise failure.at(self._path) from failure
        if failure is not None:
            raise AccessFailedFileSystemError(self._path, "the part could not be sent") from failure

    def wait(self, max_in_flight: int = 0) -> None:
        """Wait until no more than so many parts are under way. Raises as `check`."""
        with self._changed:
            while self._failure is None and len(self._in_flight) > max_in_flight:
                self._changed.wait()
        self.check()

    def cancel(self, when_idle: Callable[[], None]) -> None:
        """Give everything up, without waiting: `when_idle` is called as soon as no part is under way, here or by the thread of the last one."""
        self._stop.set()
        with self._changed:
            futures = list(self._futures.values())
            for body in self._in_flight.values():
                if body is not None:
                    body.cancel()
        for future in futures:
            future.cancel()
        with self._changed:
            if self._in_flight:
                self._when_idle = when_idle
                return
        when_idle()

    def _start(self, number: int, body: PartBody | None, send: Callable[[], Receipt]) -> None:
        try:
            self.wait(self._max_in_flight - 1)
        except BaseException:
            if body is not None:
                self._release(body)
            raise
        with self._changed:
            self._in_flight[number] = body
        try:
            future = self._executor.submit(self._run, number, send)
        except RuntimeError as error:  # the account is being closed
            self._end(number)
            raise AccessFailedFileSystemError(self._path, "the account is closed") from error
        with self._changed:
            if number in self._in_flight:
                self._futures[number] = future
        future.add_done_callback(lambda future: self._skip(number) if future.cancelled() else None)

    def _skip(self, number: int) -> None:
        """No thread will send this part: the file is given up, or the account closed."""
        with self._changed:
            self._failure = self._failure or AccessFailedFileSystemError(self._path, "the account is closed")
        self._end(number)

    def _run(self, number: int, send: Callable[[], Receipt]) -> None:
        try:
            receipt = self._retry.run(send, self._stop)
            with self._changed:
                self.parts[number] = receipt
        except BaseException as error:  # noqa: BLE001 - the owner's next call raises it
            with self._changed:
                self._failure = self._failure or error
            self._stop.set()
        finally:
            self._end(number)

    def _end(self, number: int) -> None:
        with self._changed:
            body = self._in_flight[number]
        if body is not None:
            self._release(body)
        with self._changed:
            del self._in_flight[number]
            self._futures.pop(number, None)
            when_idle = None if self._in_flight else self._when_idle
            self._changed.notify_all()
        if when_idle is not None:
            when_idle()
