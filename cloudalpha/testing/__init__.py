"""For authors of services, layers and managers: the contracts as tests, and what one needs to test against.

    FileSystemTests     the whole contract of a FileSystem, for a subclass with one fixture      cloudalpha.testing.file_system_tests
    ManagerTests        a client's view of a manager                                             cloudalpha.testing.manager_tests
    FaultyLayer         fails by a schedule                                                      cloudalpha.testing.faulty_layer
    CountingLayer       counts requests                                                          cloudalpha.testing.counting_layer
    SlowLayer           lets requests wait                                                       cloudalpha.testing.slow_layer
    OpenGate            a manager's Gate without users                                           cloudalpha.testing.gate
    assert_same_bytes   compares contents, and tells in a line what differs                      cloudalpha.testing.same_bytes
    wait_until          waits for a condition                                                    cloudalpha.testing.waiting

Needs the extra `cloudalpha[testing]`. Installing it makes the fixtures of `cloudalpha.testing.pytest_plugin` known to pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudalpha.testing.counting_layer import CountingLayer
    from cloudalpha.testing.faulty_layer import Fault, FaultyLayer
    from cloudalpha.testing.file_system_tests import FileSystemTests
    from cloudalpha.testing.gate import OpenGate
    from cloudalpha.testing.manager_tests import ManagerTests
    from cloudalpha.testing.same_bytes import assert_same_bytes
    from cloudalpha.testing.slow_layer import SlowLayer
    from cloudalpha.testing.waiting import wait_until

_HOMES = {
    "CountingLayer": "counting_layer",
    "Fault": "faulty_layer",
    "FaultyLayer": "faulty_layer",
    "FileSystemTests": "file_system_tests",
    "ManagerTests": "manager_tests",
    "OpenGate": "gate",
    "SlowLayer": "slow_layer",
    "assert_same_bytes": "same_bytes",
    "wait_until": "waiting",
}

__all__ = [
    "CountingLayer",
    "Fault",
    "FaultyLayer",
    "FileSystemTests",
    "ManagerTests",
    "OpenGate",
    "SlowLayer",
    "assert_same_bytes",
    "wait_until",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: pytest loads this package in every project of an environment."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
