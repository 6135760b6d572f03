"""`cloudalpha.connect`: one storage as a FileSystem, without a configuration file and without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cloudalpha.configurator.accounts import ConnectedAccount
from cloudalpha.configurator.loader import load_values
from cloudalpha.configurator.plug_ins import PlugIns
from cloudalpha.data_store import DataStore, get_default_state_dir
from cloudalpha.layer import Layer

ACCOUNT_NAME = "library"


class Connection(Layer):
    """The FileSystem that `cloudalpha.connect` returns; leaving its `with` block closes it."""

    def __init__(self, account: ConnectedAccount) -> None:
        super().__init__(account.file_system)
        self._account = account

    def close(self) -> None:
        self._account.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def connect(
    service: str,
    layers: Sequence[str],
    state_dir: Path | None,
    account_name: str | None,
    settings: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    plug_ins: PlugIns | None = None,
) -> Connection:
    """What `cloudalpha.connect` does."""
    name = account_name or ACCOUNT_NAME
    table = {**options, "service": service, "layers": list(layers)}
    data = {"accounts": {name: table}, "services": {service: dict(settings)} if settings else {}}
    configuration = load_values(data, "connect", plug_ins=plug_ins, as_they_are=True)
    folder = state_dir or get_default_state_dir()
    account = ConnectedAccount(
        configuration.accounts[name],
        configuration.services[service],
        DataStore.get_instance(folder),
        folder / "layers" / name,
    )
    try:
        return Connection(account)
    except BaseException:
        account.close()
        raise
