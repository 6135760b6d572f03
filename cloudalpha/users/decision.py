"""The one decision about a log-in: who is let in, and with what."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from cloudalpha.users.networks import Address, is_in
from cloudalpha.users.record import UserOptions


class Factor(Enum):
    """What a client can prove. A certificate is a key that an authority vouches for."""

    KEY = "key"
    PASSWORD = "password"  # noqa: S105 - a word for the log


def find_refusal(user: UserOptions | None, manager: str, address: Address, now: datetime) -> str | None:
    """Why nobody is let in as that user, from there, now, whatever is proven: for the log alone. None: somebody may be."""
    if user is None:
        return "no such user"
    if not user.enabled:
        return "disabled"
    if user.expires is not None and now >= user.expires:
        return "expired"
    if user.allowed_managers and manager not in user.allowed_managers:
        return "not over this manager"
    if user.allowed_networks and not is_in(address, user.allowed_networks):
        return "not from this network"
    return None


def is_enough(user: UserOptions, factors: frozenset[Factor]) -> bool:
    """Whether the proven factors are all that the user needs."""
    needed = frozenset(Factor) if user.require == "key_and_password" else frozenset()
    return bool(factors) and needed <= factors


def takes_password(user: UserOptions, factors: frozenset[Factor]) -> bool:
    """Whether a password can be right now. Where both factors are needed the key comes first: without it nobody can find a password out."""
    return user.require != "key_and_password" or Factor.KEY in factors
