"""The pytest plug-in of `cloudalpha.testing`: installed with CloudAlpha, loaded by pytest in every project of the environment.

It does nothing to tests that do not ask: its strictness holds for subclasses of FileSystemTests and ManagerTests, for tests that use one of
its fixtures, and for all tests of a project that has `cloudalpha_strict = true` in its pytest configuration.

Fixtures: `no_leaks`, `free_port`, `wait_until`. Marker: `expects_warnings`. Option: `--cloudalpha-card`.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cloudalpha.capabilities import Capabilities

for _module in ("contract", "client_view", "waiting"):
    pytest.register_assert_rewrite(f"cloudalpha.testing.{_module}")

_FIXTURES = frozenset({"no_leaks", "free_port", "wait_until"})
_CARDS = pytest.StashKey[dict[str, "Capabilities"]]()
_CARDS_OF_WORKERS = "cloudalpha_cards"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Make the option and the setting known."""
    parser.getgroup("cloudalpha").addoption(
        "--cloudalpha-card",
        action="store_true",
        help="print what each FileSystem that FileSystemTests has tested can do",
    )
    parser.addini("cloudalpha_strict", "an unexpected warning of CloudAlpha fails any test", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "expects_warnings: warnings and errors in CloudAlpha's log do not fail the test")
    config.stash[_CARDS] = {}


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., Any]:
    """`cloudalpha.testing.wait_until`, for tests that would rather ask for it than import it."""
    from cloudalpha.testing.waiting import wait_until

    return wait_until


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on. Prefer port 0 wherever a server can tell which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fails a test that leaves descriptors open or threads running."""
    from cloudalpha.testing.waiting import wait_until

    gc.collect()
    descriptors, threads = _list_descriptors(), set(threading.enumerate())
    yield
    gc.collect()

    def left() -> list[str]:
        running = [thread.name for thread in threading.enumerate() if thread not in threads]
        return sorted(set(_list_descriptors()) - set(descriptors)) + running

    wait_until(lambda: not left(), 10, lambda: f"left behind: {', '.join(left())}")


@pytest.fixture(autouse=True)
def _no_unexpected_warnings(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test fails on a warning of the logger `cloudalpha` that it does not expect."""
    if not _is_strict(request) or request.node.get_closest_marker("expects_warnings"):
        yield
        return
    collector = _Collector()
    logger = logging.getLogger("cloudalpha")
    logger.addHandler(collector)
    try:
        yield
    finally:
        logger.removeHandler(collector)
    if collector.lines:
        pytest.fail(
            "unexpected in the log (mark the test with `expects_warnings` if it should be there):\n"
            + "\n".join(collector.lines)
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note the capabilities of what is tested."""
    yield
    if item.config.getoption("--cloudalpha-card") and _is_contract_test(item):
        file_system = getattr(item, "funcargs", {}).get("file_system")
        if file_system is not None:
            item.config.stash[_CARDS][item.nodeid.rpartition("::")[0]] = file_system.capabilities


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist noted."""
    node.config.stash[_CARDS].update(getattr(node, "workeroutput", {}).get(_CARDS_OF_WORKERS, {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was noted to the controller of pytest-xdist."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_CARDS_OF_WORKERS] = {name: _describe(card) for name, card in session.config.stash[_CARDS].items()}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the cards."""
    for name, card in sorted(config.stash[_CARDS].items()):
        terminalreporter.section(f"capabilities: {name}", sep="-")
        for line in _describe(card):
            terminalreporter.write_line(line)


class _Collector(logging.Handler):
    """Keeps warnings and what is worse; the first hundred."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.lines) < 100:
            fields = getattr(record, "fields", None)
            self.lines.append(
                f"{record.levelname} {record.name}: {record.getMessage()}{f' {fields}' if fields else ''}"
            )


def _is_strict(request: pytest.FixtureRequest) -> bool:
    return (
        bool(request.config.getini("cloudalpha_strict"))
        or not _FIXTURES.isdisjoint(request.fixturenames)
        or _is_contract_test(request.node)
    )


def _is_contract_test(item: Any) -> bool:
    test_class = getattr(item, "cls", None)
    return test_class is not None and getattr(test_class, "is_cloudalpha_contract", False) is True


def _describe(card: Any) -> list[str]:
    """The lines of a card; a worker of pytest-xdist has made them already."""
    if isinstance(card, list):
        return card
    return [f"{name:20} {getattr(card, name)}" for name in card.__dataclass_fields__]


def _list_descriptors() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{number} -> {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:  # the one that listed them
            continue
    return found
