"""A Layer forwards everything, and explicitly: proved by reflection over the interface."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudalpha.capabilities import Capabilities
from cloudalpha.file_system import FileSystem, NewFile
from cloudalpha.layer import Layer, NewFileLayer

FINAL = {name for name, value in vars(FileSystem).items() if getattr(value, "__final__", False)}


def _get_methods(interface: type) -> list[str]:
    return [
        name
        for name, value in vars(interface).items()
        if inspect.isfunction(value) and not name.startswith("_") and not getattr(value, "__final__", False)
    ]


class _Recorder:
    """Answers every method with an object of its own, and remembers the call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answer = object()

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*args: Any, **kwargs: Any) -> object:
            self.calls.append((name, args, kwargs))
            return self.answer

        return call


def _check_forwards(outer: object, recorder: _Recorder, interface: type, name: str) -> None:
    parameters = list(inspect.signature(getattr(interface, name)).parameters)[1:]
    values = {parameter: object() for parameter in parameters}
    answer = getattr(outer, name)(**values)
    returned = inspect.signature(getattr(interface, name)).return_annotation
    assert answer is recorder.answer or returned in (None, "None")
    [(called, args, kwargs)] = recorder.calls
    assert called == name
    assert dict(zip(parameters, args, strict=False)) | kwargs == values, "every argument reaches the inner one"


@pytest.mark.parametrize("name", _get_methods(FileSystem))
def test_layer_forwards(name: str) -> None:
    recorder = _Recorder()
    _check_forwards(Layer(recorder), recorder, FileSystem, name)  # type: ignore[arg-type]
    assert name in vars(Layer), "explicitly"


@pytest.mark.parametrize("name", _get_methods(NewFile))
def test_new_file_layer_forwards(name: str) -> None:
    recorder = _Recorder()
    recorder.path = "/a"  # type: ignore[attr-defined]
    _check_forwards(NewFileLayer(recorder), recorder, NewFile, name)  # type: ignore[arg-type]
    assert name in vars(NewFileLayer)


def test_nothing_is_forwarded_unseen() -> None:
    assert not any("__getattr__" in vars(each) for each in (*Layer.__mro__[:-1], *NewFileLayer.__mro__[:-1]))


def test_derived_methods_are_made_of_the_layers_own() -> None:
    assert {
        "exists", "is_dir", "is_file", "get_size", "read_all", "write_all", "make_dirs", "walk",
    } == FINAL  # fmt: skip
    assert not FINAL & set(vars(Layer))


def test_properties_follow_the_inner_one() -> None:
    class Inner:
        capabilities = Capabilities()

    class InnerFile:
        path, offset, token = "/a", 5, "t"

    inner, inner_file = Inner(), InnerFile()
    layer, new_file = Layer(inner), NewFileLayer(inner_file)  # type: ignore[arg-type]
    inner.capabilities = Capabilities(sets_modified=True)
    inner_file.offset, inner_file.token = 9, "u"
    assert layer.capabilities is inner.capabilities
    assert (new_file.path, new_file.offset, new_file.token) == ("/a", 9, "u")


def test_leaving_without_commit_discards_through_the_layer() -> None:
    recorder = _Recorder()
    recorder.path = "/a"  # type: ignore[attr-defined]

    def leave() -> Iterator[str]:
        with NewFileLayer(recorder):  # type: ignore[arg-type]
            yield "inside"

    assert list(leave()) == ["inside"]
    assert [call[0] for call in recorder.calls] == ["discard"]
