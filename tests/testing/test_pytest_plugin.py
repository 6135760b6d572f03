"""The pytest plug-in: strict where it is asked to be, and silent elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


def run(pytester: pytest.Pytester, *arguments: str) -> tuple[int, int, int]:
    passed, skipped, failed = pytester.inline_run("-p", "no:cacheprovider", *arguments).countoutcomes()
    return passed, skipped, failed


@pytest.mark.expects_warnings
def test_other_projects_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import logging
        def test_it():
            logging.getLogger("cloudalpha.some").error("something is wrong")
    """)
    assert run(pytester) == (1, 0, 0)


@pytest.mark.expects_warnings
@pytest.mark.parametrize("setting", ["true", "false"])
@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_strict_project(pytester: pytest.Pytester, setting: str, level: str) -> None:
    pytester.makeini(f"[pytest]\ncloudalpha_strict = {setting}\n")
    pytester.makepyfile(f"""
        import logging
        def test_it():
            logging.getLogger("cloudalpha.some").{level}("something is wrong")
    """)
    is_wrong = setting == "true" and level != "info"
    assert run(pytester) == (1, 0, 1 if is_wrong else 0)


@pytest.mark.expects_warnings
def test_expected_warnings(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ncloudalpha_strict = true\naddopts = --strict-markers\n")
    pytester.makepyfile("""
        import logging, pytest
        @pytest.mark.expects_warnings
        def test_it():
            logging.getLogger("cloudalpha").warning("something is wrong")
    """)
    assert run(pytester) == (1, 0, 0)


@pytest.mark.expects_warnings
def test_contract_tests_are_strict(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import logging, pytest
        from cloudalpha.services.memory.file_system import MemoryFileSystem
        from cloudalpha.testing import FileSystemTests

        class Noisy(MemoryFileSystem):
            def list_dir(self, path):
                logging.getLogger("cloudalpha.noisy").warning("listing")
                return super().list_dir(path)

        class TestNoisy(FileSystemTests):
            @pytest.fixture
            def file_system(self):
                return Noisy()
    """)
    assert run(pytester, "-k", "test_empty_folder and not file") == (1, 0, 1)


def test_no_leaks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import importlib
        import threading
        import pytest

        waiting = importlib.import_module("cloudalpha.testing.waiting")
        left, over = [], threading.Event()

        @pytest.fixture
        def little_patience(monkeypatch):
            wait_until = waiting.wait_until
            monkeypatch.setattr(waiting, "wait_until", lambda what, timeout, message: wait_until(what, 0.05, message))

        def test_clean(no_leaks, free_port, wait_until):
            assert wait_until(lambda: free_port) > 0

        def test_descriptor(little_patience, no_leaks):
            left.append(open("/dev/null"))

        def test_thread(little_patience, no_leaks):
            threading.Thread(target=over.wait, args=(60,), name="left", daemon=True).start()

        def test_end():
            over.set()
            left.pop().close()
    """)
    assert run(pytester) == (4, 0, 2)


def test_card(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        from cloudalpha.services.memory.file_system import MemoryFileSystem
        from cloudalpha.testing import FileSystemTests

        class TestMemory(FileSystemTests):
            @pytest.fixture
            def file_system(self):
                return MemoryFileSystem(12345)
    """)
    for arguments in ((), ("-n", "1")):
        result = pytester.runpytest_inprocess("--cloudalpha-card", "-k", "test_walk", *arguments)
        result.stdout.fnmatch_lines(["*capabilities: *::TestMemory*", "atomic_rename *True", "max_file_size *12345"])


def test_missing_fixture_is_explained(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from cloudalpha.testing import FileSystemTests
        class TestNothing(FileSystemTests):
            pass
    """)
    result = pytester.runpytest_inprocess("-k", "test_walk", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*needs a fixture `file_system`*"])
    result.stdout.no_fnmatch_line("*capabilities*")


def test_loading_it_is_cheap() -> None:
    code = "import sys, cloudalpha.testing.pytest_plugin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"asyncssh", "hypothesis", "paramiko", "pydantic", "pyftpdlib", "ftplib", "cryptography"}
    assert not heavy.intersection(loaded)


def test_names_are_imported_when_they_are_asked_for() -> None:
    import cloudalpha.testing

    for name in cloudalpha.testing.__all__:
        assert getattr(cloudalpha.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        cloudalpha.testing.Nonsense  # noqa: B018 - looking is what fails
    docs = cloudalpha.testing.__doc__ or ""
    for name in cloudalpha.testing.__all__:
        assert name in docs or name == "Fault", f"{name} is not in the docstring"
    assert Path(cloudalpha.testing.__file__).parent.name == "testing"
