"""A third party's service: its package is built outside, installed with pip, tested by our tests, and found by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools"]
        build-backend = "setuptools.build_meta"

        [project]
        name = "cloudalpha-dictionary"
        version = "1.2.3"

        [project.entry-points."cloudalpha.services"]
        dictionary = "cloudalpha_dictionary:DictionaryAccount"

        [tool.setuptools]
        py-modules = ["cloudalpha_dictionary"]
    """,
    "cloudalpha_dictionary.py": '''
        """Files in a dictionary: what an outsider writes for a service, with nothing optional."""

        import itertools
        import threading
        from datetime import datetime, UTC

        from pydantic import Field

        from cloudalpha import paths
        from cloudalpha.account import Account
        from cloudalpha.capabilities import Capabilities
        from cloudalpha.exceptions import (
            AlreadyExistsFileSystemError, DirectoryNotEmptyFileSystemError, FileSystemError, InvalidPathFileSystemError,
            IsADirectoryFileSystemError, NotADirectoryFileSystemError, NotFoundFileSystemError, PermissionDeniedFileSystemError,
            RevisionMismatchFileSystemError, UnsupportedOperationFileSystemError,
        )
        from cloudalpha.file_metadata import FileMetadata
        from cloudalpha.file_system import ANYTHING, NOTHING, FileSystem, NewFile, WriteOptions
        from cloudalpha.settings import Options


        class DictionaryOptions(Options):
            greeting: str = Field("hello", description="Nobody reads it.")


        class DictionaryAccount(Account):
            options_class = DictionaryOptions

            def connect(self):
                return DictionaryFileSystem()


        class DictionaryFileSystem(FileSystem):
            capabilities = Capabilities(atomic_condition=True)

            def __init__(self):
                self.lock = threading.RLock()
                self.revisions = itertools.count()
                self.nodes = {"/": None}

            def find(self, path):
                for above in itertools.accumulate(paths.get_names(path)[:-1], paths.join, initial="/"):
                    if above not in self.nodes:
                        raise NotFoundFileSystemError(path)
                    if self.nodes[above] is not None:
                        raise NotADirectoryFileSystemError(path)
                if len(paths.encode(paths.get_name(path))) > 255:
                    raise InvalidPathFileSystemError(path)
                return self.nodes.get(path)

            def get_metadata(self, path):
                with self.lock:
                    node = self.find(path)
                    if path not in self.nodes:
                        raise NotFoundFileSystemError(path)
                    if node is None:
                        return FileMetadata(path, True)
                    return FileMetadata(path, False, len(node[0]), node[2], revision=node[1])

            def list_dir(self, path):
                with self.lock:
                    if not self.get_metadata(path).is_dir:
                        raise NotADirectoryFileSystemError(path)
                    names = [other for other in self.nodes if other != "/" and paths.get_parent(other) == path]
                for name in names:
                    try:
                        yield self.get_metadata(name)
                    except FileSystemError:
                        continue

            def read(self, path, start_byte=0, num_bytes=None, expected=ANYTHING):
                with self.lock:
                    metadata = self.get_metadata(path)
                    if metadata.is_dir:
                        raise IsADirectoryFileSystemError(path)
                    if expected not in (ANYTHING, metadata.revision):
                        raise RevisionMismatchFileSystemError(path)
                    content = self.nodes[path][0]
                end = None if num_bytes is None else start_byte + num_bytes
                content = content[start_byte:end]
                for start in range(0, len(content), 65536):
                    yield content[start : start + 65536]

            def create_new_file(self, path, options=WriteOptions()):
                with self.lock:
                    self.check(path, options.expected)
                if options.resume is not None:
                    raise UnsupportedOperationFileSystemError(path)
                return DictionaryNewFile(self, path, options)

            def check(self, path, expected):
                node = self.find(path)
                if path in self.nodes and node is None:
                    raise IsADirectoryFileSystemError(path)
                if expected is NOTHING and node is not None:
                    raise AlreadyExistsFileSystemError(path)
                if isinstance(expected, str) and (node is None or node[1] != expected):
                    raise RevisionMismatchFileSystemError(path)

            def delete(self, path):
                with self.lock:
                    if self.get_metadata(path).is_dir:
                        raise IsADirectoryFileSystemError(path)
                    del self.nodes[path]

            def make_dir(self, path):
                with self.lock:
                    self.find(path)
                    if path in self.nodes:
                        raise AlreadyExistsFileSystemError(path)
                    self.nodes[path] = None

            def delete_dir(self, path):
                with self.lock:
                    if path == "/":
                        raise PermissionDeniedFileSystemError(path)
                    for entry in self.list_dir(path):
                        raise DirectoryNotEmptyFileSystemError(path)
                    del self.nodes[path]

            def rename(self, old_path, new_path, overwrite=False):
                if old_path == "/":
                    raise PermissionDeniedFileSystemError(old_path)
                super().rename(old_path, new_path, overwrite)


        class DictionaryNewFile(NewFile):
            def __init__(self, files, path, options):
                self.files, self.path, self.options = files, path, options
                self.content, self.kept = bytearray(), None

            def write(self, data):
                self.content += memoryview(data).cast("B")
                self.offset = len(self.content)

            def keep(self, start_byte, num_bytes):
                with self.files.lock:
                    metadata = self.files.get_metadata(self.path)
                    expected = self.kept or self.options.expected
                    if start_byte + num_bytes > metadata.size or isinstance(expected, str) and expected != metadata.revision:
                        raise RevisionMismatchFileSystemError(self.path)
                    self.kept = metadata.revision
                    self.write(b"".join(self.files.read(self.path, start_byte, num_bytes)))

            def commit(self):
                if self.content is None:
                    raise ValueError("committed or discarded already")
                if self.options.size not in (None, len(self.content)):
                    raise FileSystemError(self.path, "another size was announced")
                with self.files.lock:
                    self.files.check(self.path, self.options.expected)
                    self.files.check(self.path, self.kept or ANYTHING)
                    revision = str(next(self.files.revisions))
                    self.files.nodes[self.path] = (bytes(self.content), revision, datetime.now(UTC))
                    self.content = None
                    return self.files.get_metadata(self.path)

            def discard(self):
                self.content = None
    ''',
    "test_dictionary.py": """
        import pytest
        from cloudalpha.testing import CountingLayer, FileSystemTests
        from cloudalpha_dictionary import DictionaryFileSystem

        class TestDictionary(FileSystemTests):
            page_size = 50
            num_examples = 10

            @pytest.fixture
            def file_system(self):
                return DictionaryFileSystem()

        def test_counted(no_leaks):
            files = CountingLayer(DictionaryFileSystem())
            files.make_dirs("/a/b")
            assert files.calls["make_dir"] == 2
    """,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the outside package is installed in."""
    project, site = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    for name, text in FILES.items():
        lines = text.strip("\n").split("\n")
        indentation = len(lines[0]) - len(lines[0].lstrip())
        (project / name).write_text("\n".join(line[indentation:] for line in lines) + "\n")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *options, str(project)], check=True, timeout=100)
    (site / "test_dictionary.py").write_text((project / "test_dictionary.py").read_text())
    return site


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the outside package is installed."""
    environment = os.environ | {"PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=site,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_passes_the_contract(site: Path) -> None:
    done = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--cloudalpha-card", "test_dictionary.py")
    assert done.returncode == 0, done.stdout[-5000:]
    assert "failed" not in done.stdout
    assert "TestDictionary" in done.stdout
    assert int(done.stdout.rpartition(" passed")[0].split()[-1]) > 500


def test_is_listed_among_the_plug_ins(site: Path) -> None:
    done = run(site, "-m", "cloudalpha", "plugins", "--json")
    assert done.returncode == 0, done.stderr
    text = json.dumps(json.loads(done.stdout))
    assert "dictionary" in text
    assert "1.2.3" in text


def test_is_connected_by_its_name(site: Path) -> None:
    code = (
        "import cloudalpha\n"
        "with cloudalpha.connect('dictionary', greeting='hi') as files:\n"
        "    files.write_all('/a', b'content')\n"
        "    print(files.read_all('/a').decode())\n"
    )
    done = run(site, "-c", code)
    assert done.stdout == "content\n", done.stderr
