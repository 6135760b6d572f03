"""A state machine: one session's open files against a model in memory, over any FileSystem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloudalpha.exceptions import (
    AlreadyExistsFileSystemError,
    FileSystemError,
    InsufficientSpaceFileSystemError,
    NotFoundFileSystemError,
    RevisionMismatchFileSystemError,
    UnsupportedOperationFileSystemError,
)
from cloudalpha.file_system import ANYTHING, Expected, FileSystem
from cloudalpha.file_system_view import FileSystemView
from cloudalpha.layer import Layer
from cloudalpha.open_file import OpenFile, OpenFileSettings
from cloudalpha.spool import Spool

PATHS = ["/a", "/folder/b"]
REFUSALS = (InsufficientSpaceFileSystemError, UnsupportedOperationFileSystemError)


class SmallChunks(Layer):
    """Streams come in chunks of a few bytes."""

    def read(
        self, path: str, start_byte: int = 0, num_bytes: int | None = None, expected: Expected = ANYTHING
    ) -> Iterator[bytes]:
        for chunk in self.inner.read(path, start_byte, num_bytes, expected):
            for start in range(0, len(chunk), 7):
                yield chunk[start : start + 7]


@dataclass(eq=False)
class DraftModel:
    path: str
    content: bytearray
    visible: bool
    failed: bool = False
    deleted: bool = False
    writers: list[HandleModel] = field(default_factory=list)


@dataclass(eq=False)
class HandleModel:
    file: OpenFile
    draft: DraftModel | None
    snapshot: bytes
    can_read: bool
    can_write: bool
    append: bool
    path: str


class OpenFileMachine(RuleBasedStateMachine):
    """may_refuse: whether the spool is too small for everything: then a refusal is right, as long as nothing is published of it."""

    may_refuse = False
    spool_size = 1 << 20
    settings = OpenFileSettings(read_ahead=32, jump=16, write_buffer=300, write_window=64)

    def make_file_system(self) -> FileSystem:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.file_system = self.make_file_system()
        self.file_system.make_dir("/folder")
        self.spool = Spool(None, self.spool_size)
        self.view = FileSystemView(self.file_system, spool=self.spool, settings=self.settings)
        self.other = FileSystemView(self.file_system, spool=self.spool)
        self.published: dict[str, bytes] = {}
        self.drafts: dict[str, DraftModel] = {}
        self.handles: list[HandleModel] = []

    def teardown(self) -> None:
        self.view.close()
        self.other.close()
        assert not self.view.get_open_files()
        assert self.spool.used_bytes == 0
        assert {path: self.other.read_all(path) for path in PATHS if self.other.exists(path)} == self.published
        self.file_system.close()

    # What the session sees

    def seen(self, path: str) -> bytes | None:
        draft = self.drafts.get(path)
        if draft is not None and draft.visible and not draft.failed:
            return bytes(draft.content)
        return self.published.get(path)

    @invariant()
    def the_session_sees_its_own_writes(self) -> None:
        for path in PATHS:
            expected = self.seen(path)
            assert self.view.exists(path) == (expected is not None), path
            if expected is not None:
                assert self.view.get_size(path) == len(expected)
        for folder in ("/", "/folder"):
            listed = {entry.path: entry.size for entry in self.view.list_dir(folder) if not entry.is_dir}
            seen = {path: self.seen(path) for path in PATHS if path.startswith("/folder") == (folder == "/folder")}
            assert listed == {path: len(content) for path, content in seen.items() if content is not None}

    @invariant()
    def others_see_what_is_published(self) -> None:
        for path in PATHS:
            expected = self.published.get(path)
            assert self.other.exists(path) == (expected is not None), path
            if expected is not None:
                assert self.other.read_all(path) == expected

    # Opening

    @rule(
        path=st.sampled_from(PATHS),
        create=st.integers(0, 9).map(lambda n: n != 9),
        exclusive=st.integers(0, 9).map(lambda n: n == 9),
        truncate=st.booleans(),
        append=st.integers(0, 3).map(lambda n: n == 3),
        read=st.booleans(),
    )
    def open_for_writing(
        self, path: str, create: bool, exclusive: bool, truncate: bool, append: bool, read: bool
    ) -> None:
        draft = self.drafts.get(path)
        if draft is not None and draft.failed:
            draft = None
        seen = self.seen(path)
        error: type[FileSystemError] | None = None
        if seen is None and not create:
            error = NotFoundFileSystemError
        elif seen is not None and create and exclusive:
            error = AlreadyExistsFileSystemError
        try:
            file = self.view.open(
                path, read=read, write=True, append=append, create=create, exclusive=exclusive, truncate=truncate
            )
        except FileSystemError as raised:
            assert error is not None and type(raised) is error, raised
            assert raised.path == path
            return
        assert error is None
        if draft is None:
            is_new = truncate or seen is None
            draft = self.drafts[path] = DraftModel(path, bytearray(b"" if truncate else seen or b""), is_new)
        elif truncate and draft.content:
            draft.content.clear()
            draft.visible = True
        handle = HandleModel(file, draft, b"", read, True, append, path)
        draft.writers.append(handle)
        self.handles.append(handle)

    @rule(path=st.sampled_from(PATHS))
    def open_for_reading(self, path: str) -> None:
        seen = self.seen(path)
        try:
            file = self.view.open(path, read=True)
        except NotFoundFileSystemError:
            assert seen is None
            return
        assert seen is not None
        draft = self.drafts.get(path)
        if draft is not None and (draft.failed or not draft.visible):
            draft = None
        self.handles.append(HandleModel(file, draft, seen, True, False, False, path))

    # Writing and reading

    @initialize(content=st.binary(max_size=150))
    def begin_with_a_file_in_hand(self, content: bytes) -> None:
        self.other.write_all(PATHS[0], content)
        self.published[PATHS[0]] = content
        self.open_for_writing(PATHS[0], True, False, False, False, True)

    def pick(self, data: st.DataObject, *, write: bool = False, read: bool = False) -> HandleModel | None:
        fitting = [h for h in self.handles if (h.can_write or not write) and (h.can_read or not read)]
        fitting = [h for h in fitting if h.draft is None or not h.draft.failed] or fitting
        return data.draw(st.sampled_from(fitting)) if fitting else None

    def refused(self, handle: HandleModel, error: FileSystemError) -> None:
        """An error is right when the draft has failed before, the spool is too small, or the version that it builds upon was deleted."""
        draft = handle.draft
        assert draft is not None
        if draft.deleted or not draft.writers:
            assert (
                isinstance(error, (*REFUSALS, NotFoundFileSystemError, RevisionMismatchFileSystemError)) or draft.failed
            )
            draft.failed = handle.file.content.has_failed  # type: ignore[union-attr]
        elif not draft.failed:
            assert self.may_refuse and isinstance(error, REFUSALS), error
            draft.failed = handle.file.content.has_failed  # type: ignore[union-attr]

    @precondition(lambda self: self.handles)
    @rule(
        data=st.data(),
        writes=st.lists(
            st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=50), st.sampled_from("wta")), max_size=5
        ),
    )
    def write(self, data: st.DataObject, writes: list[tuple[int, bytes, str]]) -> None:
        handle = self.pick(data, write=True)
        for offset, content, method in writes if handle is not None else ():
            self.write_once(handle, offset, content, method)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), offsets=st.lists(st.integers(0, 12), min_size=1, max_size=6))
    def write_blocks(self, data: st.DataObject, offsets: list[int]) -> None:
        """As a client does that has several requests under way."""
        handle = self.pick(data, write=True)
        for offset in offsets if handle is not None else ():
            self.write_once(handle, offset * 16, bytes([65 + offset]) * 16, "w")

    def write_once(self, handle: HandleModel, offset: int, content: bytes, method: str) -> None:
        draft = handle.draft
        assert draft is not None
        if handle.append or method == "a":
            offset = len(draft.content)
        try:
            if method == "a":
                handle.file.append(content)
            elif method == "w" or not handle.file.try_write_at(offset, content):
                handle.file.write_at(offset, content)
        except FileSystemError as error:
            self.refused(handle, error)
            return
        if content and not draft.failed:
            draft.content.extend(bytes(max(0, offset - len(draft.content))))
            draft.content[offset : offset + len(content)] = content
            draft.visible = True

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), size=st.integers(0, 220))
    def truncate(self, data: st.DataObject, size: int) -> None:
        handle = self.pick(data, write=True)
        if handle is None:
            return
        draft = handle.draft
        assert draft is not None
        try:
            handle.file.truncate(size)
        except FileSystemError as error:
            self.refused(handle, error)
            return
        assert not draft.failed
        if size != len(draft.content):
            draft.content.extend(bytes(max(0, size - len(draft.content))))
            del draft.content[size:]
            draft.visible = True

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), offset=st.integers(0, 220), num_bytes=st.integers(0, 220), attempt=st.booleans())
    def read(self, data: st.DataObject, offset: int, num_bytes: int, attempt: bool) -> None:
        handle = self.pick(data, read=True)
        if handle is None:
            return
        try:
            read = handle.file.try_read_at(offset, num_bytes) if attempt else None
            if read is None:
                read = handle.file.read_at(offset, num_bytes)
        except FileSystemError as error:
            if handle.draft is not None:
                self.refused(handle, error)
            else:  # that version is gone
                assert self.published.get(handle.path) != handle.snapshot or handle.path == "?"
            return
        content = handle.draft.content if handle.draft is not None else handle.snapshot
        assert read == bytes(content[offset : offset + num_bytes])

    # Ending

    def commit(self, draft: DraftModel) -> None:
        if draft.visible and not draft.deleted:
            for handle in self.handles:
                if handle.draft is None and handle.path == draft.path:
                    handle.path = "?"
            self.published[draft.path] = bytes(draft.content)
            draft.visible = False

    def end(self, handle: HandleModel) -> None:
        self.handles.remove(handle)
        draft = handle.draft
        if draft is not None and handle.can_write:
            draft.writers.remove(handle)
            if not draft.writers and self.drafts.get(draft.path) is draft:
                del self.drafts[draft.path]

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        handle = self.pick(data, write=True)
        if handle is None:
            return
        draft = handle.draft
        assert draft is not None
        try:
            metadata = handle.file.publish()
        except FileSystemError as error:
            self.refused(handle, error)
            assert draft.failed
        else:
            assert not draft.failed
            assert metadata.size == len(draft.content)
            self.commit(draft)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        handle = self.pick(data)
        assert handle is not None
        draft = handle.draft if handle.can_write else None
        try:
            metadata = handle.file.finish()
        except FileSystemError as error:
            assert draft is not None
            self.refused(handle, error)
            assert draft.failed
        else:
            if draft is not None:
                assert not draft.failed
                assert metadata.size == len(draft.content)
                self.commit(draft)
        self.end(handle)

    @precondition(lambda self: len(self.handles) > 2)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        handle = self.pick(data)
        assert handle is not None
        handle.file.discard()
        if handle.draft is not None and handle.can_write:
            handle.draft.failed = True
        self.end(handle)

    # Names

    @rule(old=st.sampled_from(PATHS), new=st.sampled_from(PATHS), overwrite=st.booleans())
    def rename(self, old: str, new: str, overwrite: bool) -> None:
        try:
            self.view.rename(old, new, overwrite)
        except NotFoundFileSystemError:
            assert self.seen(old) is None
            return
        except AlreadyExistsFileSystemError:
            assert not overwrite and (self.seen(new) is not None or new in self.published)
            return
        assert self.seen(old) is not None
        if old == new:
            return
        for handle in self.handles:
            if handle.draft is None:
                handle.path = "?" if handle.path == new else new if handle.path == old else handle.path
        replaced = self.drafts.pop(new, None)
        if replaced is not None:
            replaced.deleted = True
        if old in self.published:
            self.published[new] = self.published.pop(old)
        draft = self.drafts.pop(old, None)
        if draft is not None:
            draft.path = new
            self.drafts[new] = draft

    @rule(path=st.sampled_from(PATHS))
    def delete(self, path: str) -> None:
        try:
            self.view.delete(path)
        except NotFoundFileSystemError:
            assert self.seen(path) is None
            return
        assert self.seen(path) is not None
        self.published.pop(path, None)
        draft = self.drafts.pop(path, None)
        if draft is not None:
            draft.deleted = True
        for handle in self.handles:
            if handle.draft is None and handle.path == path:
                handle.path = "?"
