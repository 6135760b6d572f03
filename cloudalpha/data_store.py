"""DataStore: the singleton that keeps small persistent values, (owner, key) -> JSON value: tokens above all.

One file in the state folder, `data_store.sqlite`: a table of sqlitedict whose keys are `["OWNER", "KEY"]` and whose values are
`{"value": ...}` or `{"sealed": "BASE64"}`. A sealed value is AES-256-GCM: a nonce of 12 bytes, then the ciphertext of the value's JSON;
owner and key are authenticated with it, so that a value moved elsewhere does not open. The key is beside it in `data_store.key`.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from cloudalpha.exceptions import DataStoreError

if TYPE_CHECKING:
    from sqlitedict import SqliteDict  # type: ignore[import-untyped]

T = TypeVar("T")

FILE_NAME = "data_store.sqlite"
KEY_FILE_NAME = "data_store.key"
KEY_BYTES = 32
NONCE_BYTES = 12
BUSY_MILLISECONDS = 30_000
MAX_VALUE_BYTES = 1024 * 1024


def make_private_dir(path: Path) -> Path:
    """The folder, made with mode 0700 if it is missing; where others can read it, that is taken from them - if it is ours.

    Raises DataStoreError when it cannot be made, or others can read it and it holds what is not ours: /tmp named by mistake stays as it is.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o077:
            if not _is_ours(path):
                raise DataStoreError(f"{path}: holds files of others; name a folder of its own, or chmod 700 this one")
            path.chmod(0o700)
    except OSError as error:
        raise DataStoreError(f"{path}: cannot be used as a folder for state: {error.strerror}") from error
    return path


def _is_ours(path: Path) -> bool:
    if path.resolve().is_relative_to(get_default_state_dir().resolve()):
        return True
    names = {entry.name for entry in path.iterdir()}
    return not names or not names.isdisjoint((FILE_NAME, "managers", "layers"))


def get_default_state_dir() -> Path:
    """Where state lives unless something else is configured: $STATE_DIRECTORY (systemd), else the user's state folder."""
    if directory := os.environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(directory)
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "cloudalpha"


class DataStore:
    """Small persistent values, (owner, key) -> JSON value. `get_instance` gives the one of a state folder.

    Safe for threads and for several processes. A change is on the disk, synced, when the call returns. Values are at most 1 MiB of JSON.
    Owners and keys are any text. Every method raises DataStoreError when the store cannot be read or written, or is damaged; a damaged
    value does no harm to the others, and nothing that is stored is ever run as code.
    """

    _instances: ClassVar[dict[tuple[int, Path], DataStore]] = {}
    _instances_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.path = state_dir / FILE_NAME
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_closed = False
        self._rows: SqliteDict | None = None

    @classmethod
    def get_instance(cls, state_dir: Path | None = None) -> DataStore:
        """The DataStore of a state folder (without one the default): one in a process for each folder.

        The folder (mode 0700) and the file are made at first use.
        """
        folder = (state_dir or get_default_state_dir()).resolve()
        with cls._instances_lock:
            identity = (os.getpid(), folder)
            if identity not in cls._instances:
                cls._instances[identity] = cls(folder)
            return cls._instances[identity]

    def get_value(self, owner: str, key: str, default: Any = None) -> Any:
        """The value, or the default where there is none."""
        row_key = _encode_key(owner, key)
        row = self._get_row(row_key)
        return default if row is None else self._decode(row_key, row)

    def set_value(self, owner: str, key: str, value: Any, secret: bool = False) -> None:
        """Set the value.

        secret: encrypt it. Raises DataStoreError also for a value that is not JSON.
        """
        row_key = _encode_key(owner, key)
        row = self._encode(row_key, value, secret)
        self._run(lambda rows: rows.__setitem__(row_key, row))

    def delete_value(self, owner: str, key: str) -> None:
        """Delete the value; one that is not there is no error."""
        row_key = _encode_key(owner, key)
        self._run(lambda rows: rows.pop(row_key, None))

    def items(self, owner: str) -> list[tuple[str, Any]]:
        """All keys and values of one owner, ordered by key."""
        prefix = json.dumps([owner])[:-1] + ","
        row_keys = self._run(lambda rows: [key for key in rows if isinstance(key, str) and key.startswith(prefix)])
        items = []
        for row_key in row_keys:
            row = self._get_row(row_key)
            if row is not None:
                items.append((str(json.loads(row_key)[1]), self._decode(row_key, row)))
        return sorted(items)

    def close(self) -> None:
        """Close the file. `get_instance` opens it again; this instance is of no more use. Harmless when repeated."""
        with DataStore._instances_lock:
            DataStore._instances.pop((self._pid, self.state_dir), None)
        with self._lock:
            if self._rows is not None and self._pid == os.getpid():
                self._rows.close(do_log=False)
            self._rows = None
            self._is_closed = True

    def __repr__(self) -> str:
        return f"DataStore({str(self.path)!r})"

    def _open(self) -> SqliteDict:
        from sqlitedict import SqliteDict

        with _locked(make_private_dir(self.state_dir)):
            _prepare(self.path)
            rows = SqliteDict(
                str(self.path),
                tablename="data",
                autocommit=True,
                journal_mode="WAL",
                encode=_encode_row,
                decode=_decode_row,
                outer_stack=False,
            )
            # sqlitedict switches syncing off; a token that was rotated must be on the disk before the old one is dropped
            rows.conn.execute("PRAGMA synchronous=FULL")
            rows.conn.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
            rows.conn.commit(blocking=True)
            return rows

    def _get_row(self, row_key: str) -> Any:
        return self._run(lambda rows: rows.get(row_key))

    def _run(self, action: Callable[[SqliteDict], T]) -> T:
        """Run one step. sqlitedict works in a thread of its own and reports an error at the next call: so wait for it, and ask."""
        with self._lock, self._sqlite_errors():
            if self._is_closed or self._pid != os.getpid():
                raise DataStoreError("the DataStore is closed, or was opened by another process")
            if self._rows is None:
                self._rows = self._open()
            result = action(self._rows)
            self._rows.conn.commit(blocking=True)
            self._rows.conn.check_raise_error()
            return result

    @contextlib.contextmanager
    def _sqlite_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise DataStoreError(f"the DataStore {self.path} cannot be used: {error}") from error

    def _encode(self, row_key: str, value: Any, secret: bool) -> dict[str, Any]:
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise DataStoreError(f"{row_key}: the value is not JSON") from error
        if len(text) > MAX_VALUE_BYTES:
            raise DataStoreError(f"{row_key}: the value is larger than {MAX_VALUE_BYTES} bytes")
        if not secret:
            return {"value": value}
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._read_key(create=True)).encrypt(nonce, text.encode(), row_key.encode())
        return {"sealed": base64.b64encode(nonce + sealed).decode()}

    def _decode(self, row_key: str, row: Any) -> Any:
        if not isinstance(row, dict) or len(row) != 1 or not row.keys() <= {"value", "sealed"}:
            raise DataStoreError(f"{row_key}: the stored value is damaged; delete it and set it again")
        if "value" in row:
            return row["value"]
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._read_key(create=False)
        try:
            sealed = base64.b64decode(row["sealed"], validate=True)
            text = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row_key.encode())
            return json.loads(text)
        except (InvalidTag, ValueError, TypeError) as error:
            reason = f"the value does not open with {KEY_FILE_NAME}: it is damaged, or the key is another one"
            raise DataStoreError(f"{row_key}: {reason}") from error

    def _read_key(self, create: bool) -> bytes:
        path = self.state_dir / KEY_FILE_NAME
        try:
            if create and not path.exists():
                make_private_dir(self.state_dir)
                _create_key(path)
            mode = path.stat().st_mode
            key = path.read_bytes()
        except FileNotFoundError as error:
            raise DataStoreError(f"{path} is missing: encrypted values cannot be read without it") from error
        except OSError as error:
            raise DataStoreError(f"{path} cannot be used: {error.strerror}") from error
        if mode & 0o077:
            raise DataStoreError(f"{path} can be read by others: run chmod 600 on it, and renew what it protects")
        if len(key) != KEY_BYTES:
            raise DataStoreError(f"{path} is damaged: it has {len(key)} bytes, not {KEY_BYTES}")
        return key


def _encode_key(owner: str, key: str) -> str:
    return json.dumps([owner, key])


def _encode_row(row: dict[str, Any]) -> str:
    return json.dumps(row)


def _decode_row(text: object) -> Any:
    """What a row holds; None stands for "no row", so a damaged one is False. Rows are text that we wrote: anything else is not looked into."""
    try:
        return json.loads(text) or False if isinstance(text, str) else False
    except ValueError:
        return False


def _prepare(path: Path) -> None:
    """Make the file, readable by its owner alone, and fail here, where errors are plain, when it is no database."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_MILLISECONDS / 1000)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _create_key(path: Path) -> None:
    """Make the key in one step: whoever comes second keeps the first one's."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time open the store: SQLite's busy time-out does not cover the change to WAL."""
    descriptor = os.open(folder / f".{FILE_NAME}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
