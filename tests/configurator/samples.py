"""Plug-ins for the tests of the configurator: a service, layers and managers that do little, or fail on demand."""

from __future__ import annotations

import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr

from cloudalpha.account import Account
from cloudalpha.configurator.plug_ins import PlugIns
from cloudalpha.exceptions import AccessFailedFileSystemError, AccountError, AddressInUseManagerError
from cloudalpha.file_system import FileSystem
from cloudalpha.layer import Layer, LayerContext
from cloudalpha.manager import Endpoint, Manager
from cloudalpha.services.memory.file_system import MemoryFileSystem
from cloudalpha.settings import Duration, Options, Settings, Size


class BucketOptions(Options):
    bucket: str
    prefix: str = ""
    passphrase: str | None = None
    part_size: Size = 1024
    fail: str = ""


class RetryOptions(BaseModel, extra="forbid"):
    max_tries: int = 3


class BucketSettings(Settings):
    app_key: SecretStr = SecretStr("")
    timeout: Duration = 30.0
    retry: RetryOptions = Field(default_factory=RetryOptions)


class BucketAccount(Account):
    """Fails as `fail` says until it is cleared from `failing`."""

    options_class: ClassVar[type[Options]] = BucketOptions
    settings_class: ClassVar[type[Settings]] = BucketSettings
    mended: ClassVar[set[str]] = set()
    hang: ClassVar[threading.Event] = threading.Event()
    is_hanging: ClassVar[threading.Event] = threading.Event()

    def connect(self) -> FileSystem:
        failure = "" if self.name in self.mended else self.options.fail
        if failure == "account":
            raise AccountError("the bucket is not ours")
        if failure == "outage":
            raise AccessFailedFileSystemError("/", "no answer", temporary=True)
        if failure == "import":
            raise ModuleNotFoundError("No module named 'bucket_sdk'", name="bucket_sdk")
        if failure == "bug":
            raise ZeroDivisionError("secret detail")
        if failure == "hang":
            self.is_hanging.set()
            self.hang.wait(60)
        return MemoryFileSystem(1024 * 1024)

    def get_card(self) -> dict[str, str]:
        return {"bucket": str(self.options.bucket)}


class TracingOptions(Options):
    label: str = "none"
    key: str = Field("", repr=False)


class TracingLayer(Layer):
    options_class: ClassVar[type[Options]] = TracingOptions

    def __init__(self, inner: FileSystem, label: str, context: LayerContext) -> None:
        super().__init__(inner)
        self.label = label
        self.context = context
        self.closed = 0

    @classmethod
    def from_options(cls, inner: FileSystem, options: Any, context: LayerContext) -> TracingLayer:
        return cls(inner, options.label, context)

    def close(self) -> None:
        self.closed += 1
        super().close()


class OuterLayer(TracingLayer):
    """A second layer."""


class StubSettings(Settings):
    host: str = "127.0.0.1"
    port: int = Field(2121, ge=0, le=65535)
    implicit_port: int | None = None
    fail: str = ""


class StubManager(Manager):
    """Listens nowhere; notes what is done with it."""

    settings_class: ClassVar[type[Settings]] = StubSettings

    def __init__(self, name: str, settings: Any, gate: Any, state_dir: Path) -> None:
        super().__init__(name, settings, gate, state_dir)
        self.calls: list[str] = []

    def start(self) -> None:
        if self.settings.fail == "port":
            raise AddressInUseManagerError(f"port {self.settings.port} is taken")
        if self.settings.fail == "bug":
            raise ZeroDivisionError("what")
        self.calls.append("start")

    def stop(self, grace_seconds: float = 0.0) -> None:
        self.calls.append(f"stop {grace_seconds:g}")
        if self.settings.fail == "stop":
            raise ZeroDivisionError("what")

    def reload(self) -> None:
        self.calls.append("reload")
        if self.settings.fail == "reload":
            raise ZeroDivisionError("what")

    def get_endpoints(self) -> list[Endpoint]:
        return [Endpoint("stub", self.settings.host, self.settings.port, "SHA256:abc")]

    def count_sessions(self) -> int:
        return 0


class OtherManager(StubManager):
    """A second manager."""


NOT_A_CLASS = 5
_HERE = __name__


def make_plug_ins(*more: EntryPoint) -> PlugIns:
    """The sample plug-ins, as if they were installed."""
    return PlugIns(
        [
            EntryPoint("bucket", f"{_HERE}:BucketAccount", "cloudalpha.services"),
            EntryPoint("memory", "cloudalpha.services.memory.account:MemoryAccount", "cloudalpha.services"),
            EntryPoint("tracing", f"{_HERE}:TracingLayer", "cloudalpha.layers"),
            EntryPoint("outer", f"{_HERE}:OuterLayer", "cloudalpha.layers"),
            EntryPoint("stub", f"{_HERE}:StubManager", "cloudalpha.managers"),
            EntryPoint("other", f"{_HERE}:OtherManager", "cloudalpha.managers"),
            *more,
        ]
    )
