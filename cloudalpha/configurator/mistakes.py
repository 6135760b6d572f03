"""Mistakes in a configuration: found all in one run, one line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from cloudalpha import paths

_VALUE_ERROR = "Value error, "


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake: where it stands (a file, or an environment variable), section, key, and what is wrong."""

    origin: str
    section: str
    key: str
    message: str

    def __str__(self) -> str:
        place = " ".join(part for part in (f"[{self.section}]" if self.section else "", self.key) if part)
        return ": ".join(paths.printable(part) for part in (self.origin, place) if part) + f": {self.message}"


def suggest(name: str, valid: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest valid one, or all of them."""
    names = sorted(valid)
    near = difflib.get_close_matches(name.lower(), [valid_name.lower() for valid_name in names], n=1, cutoff=0.6)
    if near:
        return f"did you mean {next(valid_name for valid_name in names if valid_name.lower() == near[0])!r}?"
    return f"there is: {', '.join(names)}" if names else "there is none"


def describe_errors(model: type[BaseModel], error: ValidationError, also: Iterable[str] = ()) -> list[tuple[str, str]]:
    """The key and the message of each error that a model found; values, which may be secret, are not repeated.

    also: names that are valid at the top of the section without being fields of the model.
    """
    found = []
    for details in error.errors(include_input=False, include_url=False, include_context=False):
        location = [str(part) for part in details["loc"]]
        if details["type"] == "extra_forbidden":
            valid = _get_field_names(model, location[:-1])
            message = f"unknown name; {suggest(location[-1], [*valid, *(also if len(location) == 1 else ())])}"
        elif details["type"] == "missing":
            message = "is missing"
        else:
            message = details["msg"].removeprefix(_VALUE_ERROR).replace("\n", " ")
        found.append((".".join(location), message))
    return found


def _get_field_names(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    """The fields of the model that lies at a place within a model; none where no model lies there."""
    for name in location:
        field = model.model_fields.get(name)
        inner = _find_model(field.annotation) if field is not None else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _find_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _find_model(argument))), None)
