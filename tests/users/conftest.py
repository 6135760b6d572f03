from __future__ import annotations

import pytest

from tests.users.helpers import GateUnderTest, make_user


@pytest.fixture
def under_test() -> GateUnderTest:
    """A gate with two users: alice, and bob, who has no password."""
    return GateUnderTest({"alice": make_user(), "bob": make_user(password_hash=None)})
