"""The index of threats is whole: every row that binds is there, and every test that it names exists."""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.threats import BAD_INPUT, REQUIRED, THREATS

TESTS = Path(__file__).parents[1]

ALL = {**{f"{number} {text}": names for number, (text, names) in THREATS.items()}, **BAD_INPUT}


@functools.cache
def get_tests(file: str) -> frozenset[str]:
    """The tests of a file, `name` or `Class::name`; those that are marked as skipped or expected to fail do not count."""
    return frozenset(_find_tests(ast.parse((TESTS / file).read_text("utf-8")).body))


def _find_tests(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _find_tests(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = {ast.unparse(mark).split("(")[0].rsplit(".", 1)[-1] for mark in node.decorator_list}
            if not marks & {"skip", "xfail"}:
                yield prefix + node.name


def test_every_required_row_is_there() -> None:
    assert set(THREATS) >= REQUIRED


@pytest.mark.parametrize("row", ALL)
def test_the_named_tests_exist(row: str) -> None:
    names = ALL[row]
    assert names and len(set(names)) == len(names)
    missing = [name for name in names if name.split("::", 1)[1] not in get_tests(name.split("::", 1)[0])]
    assert missing == []


def test_tests_that_carry_a_number_are_in_its_row() -> None:
    """`test_12_...` of this room and of the managers says that it belongs to row 12."""
    missing = []
    for path in sorted(path for room in ("security", "managers") for path in (TESTS / room).rglob("test_*.py")):
        file = path.relative_to(TESTS).as_posix()
        for name in sorted(get_tests(file)):
            numbers = itertools.takewhile(str.isdigit, name.rsplit("::", 1)[-1].split("_")[1:])
            rows = [int(number) for number in numbers if int(number) in THREATS]
            missing += [f"{row}: {file}::{name}" for row in rows if f"{file}::{name}" not in THREATS[row][1]]
    assert missing == []
