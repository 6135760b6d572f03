"""Permissions: what a user may do at which path.

A rule holds for its path and for everything beneath it; where several do, the longest path wins, and replaces the others: nothing is added up.
A path without any rule has no permission at all.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from enum import Flag, auto
from functools import reduce
from operator import and_, or_

from cloudalpha import paths
from cloudalpha.exceptions import InvalidPathFileSystemError


class Permission(Flag):
    """The verbs of the configuration, in lower case there.

    LIST: see what a folder holds. DOWNLOAD: read a file. UPLOAD: write a file where none is. OVERWRITE: replace a file, or change any part of it.
    APPEND: write at the end of a file. DELETE: delete a file. RENAME: move a file or a folder away from its path. MAKE_DIR, DELETE_DIR: folders.
    SET_TIMES: set the time of a file that is there.
    """

    LIST = auto()
    DOWNLOAD = auto()
    UPLOAD = auto()
    OVERWRITE = auto()
    APPEND = auto()
    DELETE = auto()
    RENAME = auto()
    MAKE_DIR = auto()
    DELETE_DIR = auto()
    SET_TIMES = auto()


NO_PERMISSION = Permission(0)
ALL_PERMISSIONS = ~NO_PERMISSION
VERBS = {permission.name.lower(): permission for permission in Permission if permission.name} | {"all": ALL_PERMISSIONS}


def parse_verbs(text: str) -> Permission:
    """The permissions of "list download"; none for an empty text. Raises ValueError for a verb that there is not."""
    granted = NO_PERMISSION
    for verb in re.split(r"[\s,]+", text.strip()):
        if verb in VERBS:
            granted |= VERBS[verb]
        elif verb:
            nearest = difflib.get_close_matches(verb.lower(), VERBS, 1, 0.5)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(VERBS)}"
            raise ValueError(f"unknown permission {verb!r}; {hint}")
    return granted


def format_verbs(permission: Permission) -> str:
    """The inverse of `parse_verbs`."""
    if permission == ALL_PERMISSIONS:
        return "all"
    return " ".join(verb for verb, single in VERBS.items() if verb != "all" and single in permission)


def parse_path(text: str) -> str:
    """A path of the configuration: absolute, and made canonical. Raises ValueError."""
    if not text.startswith("/"):
        raise ValueError(f"the path {text!r} must begin with a slash")
    try:
        return paths.normalize(text)
    except InvalidPathFileSystemError as error:
        raise ValueError(f"the path {text!r} is not valid: {error.message}") from None


class Permissions:
    """The rules of one user."""

    def __init__(self, rules: Mapping[str, Permission]) -> None:
        self._rules = dict(rules)
        # A folder on the way to something permitted can be looked at, or nobody could walk there.
        self._ways = {way for path, permission in rules.items() if permission for way in _get_ancestors(path)}

    @classmethod
    def parse(cls, rules: Mapping[str, str]) -> Permissions:
        """The permissions of `{"/": "all", "/team": "list download"}`. Raises ValueError."""
        parsed: dict[str, Permission] = {}
        for text, verbs in rules.items():
            path = parse_path(text)
            if path in parsed:
                raise ValueError(f"two rules for the path {path!r}")
            parsed[path] = parse_verbs(verbs)
        return cls(parsed)

    def get(self, path: str) -> Permission:
        """What is permitted at a path."""
        while (permission := self._rules.get(path)) is None:
            if path == paths.ROOT:
                return NO_PERMISSION
            path = paths.get_parent(path)
        return permission

    def get_everywhere(self, path: str) -> Permission:
        """What is permitted at a path and also at everything beneath it."""
        return reduce(and_, self._get_beneath(path), self.get(path))

    def get_anywhere(self, path: str) -> Permission:
        """What is permitted at a path or at anything beneath it."""
        return reduce(or_, self._get_beneath(path), self.get(path))

    def may_see(self, path: str) -> bool:
        """Whether the metadata of a path may be had: something is permitted there, or further down."""
        return bool(self.get(path)) or path in self._ways

    def is_unlimited(self) -> bool:
        """Whether everything is permitted everywhere."""
        return self.get_everywhere(paths.ROOT) == ALL_PERMISSIONS

    def _get_beneath(self, path: str) -> list[Permission]:
        return [
            rule for rule_path, rule in self._rules.items() if rule_path != path and paths.is_within(rule_path, path)
        ]


def _get_ancestors(path: str) -> list[str]:
    ancestors = []
    while path != paths.ROOT:
        path = paths.get_parent(path)
        ancestors.append(path)
    return ancestors
