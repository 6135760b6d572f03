"""Password hashes, and the same work for every name."""

from __future__ import annotations

import threading

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudalpha.testing.waiting import wait_until
from cloudalpha.users.passwords import (
    BusyError,
    PasswordChecker,
    check_hash,
    check_hash_format,
    hash_password,
)
from tests.users.helpers import CHEAP_ARGON2, RIGHT, Work

BCRYPT = bcrypt.hashpw(RIGHT.encode(), b"$2b$04$abcdefghijklmnopqrstuu").decode()  # the same in every process


def test_new_hashes_are_argon2id_of_64_mebibytes() -> None:
    password_hash = hash_password("correct horse")
    assert password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert check_hash_format(password_hash) == password_hash
    assert check_hash(password_hash, b"correct horse")
    assert not check_hash(password_hash, b"correct horsf")
    assert hash_password("correct horse") != password_hash


@pytest.mark.parametrize(
    "password_hash", [CHEAP_ARGON2, BCRYPT, BCRYPT.replace("$2b$", "$2y$"), BCRYPT.replace("$2b$", "$2a$")]
)
def test_hashes_that_are_read(password_hash: str) -> None:
    check_hash_format(password_hash)
    checker = PasswordChecker()
    assert checker.check("alice", password_hash, RIGHT)
    for wrong in ("Right", "right ", "", "right\0", "x" * 5000):
        assert not checker.check("alice", password_hash, wrong)


def test_bcrypt_looks_at_72_bytes_and_does_not_break_at_more() -> None:
    password = "x" * 100
    password_hash = bcrypt.hashpw(password[:72].encode(), bcrypt.gensalt(4)).decode()
    assert PasswordChecker().check("alice", password_hash, password)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        CHEAP_ARGON2.replace("argon2id", "argon2i"),
        CHEAP_ARGON2 + "\n",
        CHEAP_ARGON2[:-12],
        CHEAP_ARGON2.replace("m=8", "m=9000000"),
        CHEAP_ARGON2.replace("m=8", "m=7"),
        CHEAP_ARGON2.replace("t=1", "t=900"),
        CHEAP_ARGON2.replace("t=1", "t=0"),
        BCRYPT.replace("$04$", "$31$"),
        "$1$abcdefgh$zzzzzzzzzzzzzzzzzzzzzz",
        "/etc/shadow",
    ],
)
def test_hashes_that_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="hash") as caught:
        check_hash_format(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("password", ["", "a\0b", "a\nb", "\x7f", "x" * 1025, "\ud800"])
def test_passwords_that_nobody_can_have(password: str) -> None:
    with pytest.raises(ValueError, match="password"):
        hash_password(password)


@given(st.text(st.characters(), max_size=40))
def test_any_text_is_an_answer(password: str) -> None:
    assert PasswordChecker().check("alice", CHEAP_ARGON2, password) == (password == RIGHT)


def test_unicode_forms_are_one_password() -> None:
    seen: list[bytes] = []
    checker = PasswordChecker(check=lambda _, encoded: bool(seen.append(encoded)))
    checker.check("alice", CHEAP_ARGON2, "caf\u00e9")
    checker.check("alice", CHEAP_ARGON2, "cafe\u0301")
    checker.check("alice", CHEAP_ARGON2, "caf\udce9")
    assert seen == [b"caf\xc3\xa9", b"caf\xc3\xa9", b"caf\xe9"]


@pytest.mark.parametrize("password", [RIGHT, "wrong", "", "a\0b", "x" * 5000, "\ud800"])
def test_same_work_with_and_without_a_hash(password: str) -> None:
    work = Work()
    checker = PasswordChecker(check=work)
    checker.learn_hashes([CHEAP_ARGON2])
    checker.check("alice", CHEAP_ARGON2, password)
    assert not checker.check("nobody", None, password)
    assert len(work.hashes) == 2
    assert work.hashes[0].rsplit("$", 2)[0] == work.hashes[1].rsplit("$", 2)[0] == "$argon2id$v=19$m=8,t=1,p=1"


def test_a_stand_in_is_never_right() -> None:
    checker = PasswordChecker(check=lambda *_: True)
    assert checker.check("alice", CHEAP_ARGON2, RIGHT)
    assert not checker.check("nobody", None, RIGHT)


def test_unknown_names_look_like_any_of_the_kinds_that_there_are() -> None:
    work = Work()
    checker = PasswordChecker(check=work)
    checker.learn_hashes([CHEAP_ARGON2, BCRYPT, BCRYPT.replace("$2b$", "$2y$")])
    for _ in range(2):
        for number in range(50):
            checker.check(f"nobody{number}", None, "x")
    assert work.hashes[:50] == work.hashes[50:]  # always the same for one name
    assert {password_hash.split("$")[1] for password_hash in work.hashes} == {"argon2id", "2b"}
    for password_hash in set(work.hashes):
        check_hash_format(password_hash)
        assert not check_hash(password_hash, b"x")  # and it can really be computed


def test_no_more_at_once_than_allowed_and_no_more_waiting() -> None:
    begun, release = threading.Semaphore(0), threading.Event()
    running = []

    def check(password_hash: str, encoded: bytes) -> bool:
        running.append(1)
        begun.release()
        release.wait(10)
        return True

    checker = PasswordChecker(max_parallel=2, max_waiting=1, check=check)
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(checker.check("alice", CHEAP_ARGON2, RIGHT))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=10) and begun.acquire(timeout=10)

    def is_full() -> bool:
        if checker._places.acquire(blocking=False):
            checker._places.release()
            return False
        return True

    wait_until(is_full)
    assert len(running) == 2
    with pytest.raises(BusyError):
        checker.check("alice", CHEAP_ARGON2, RIGHT)
    release.set()
    for thread in threads:
        thread.join(10)
    assert answers == [True] * 3
    assert checker.check("alice", CHEAP_ARGON2, RIGHT)


def test_places_come_back_after_an_error() -> None:
    def check(password_hash: str, encoded: bytes) -> bool:
        raise MemoryError

    checker = PasswordChecker(max_parallel=1, max_waiting=0, check=check)
    for _ in range(3):
        with pytest.raises(MemoryError):
            checker.check("alice", CHEAP_ARGON2, RIGHT)
