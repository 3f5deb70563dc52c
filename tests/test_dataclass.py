"""The project's data classes do what those of the standard library do, but for refusing a change at run time."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

import pytest

from src.dataclass import dataclass


@dataclass(frozen=True)
class Door:
    colour: str
    key: str = field(default="", repr=False)
    seen: int = field(default=0, compare=False)
    facts: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass
class Room:
    doors: list[Door] = field(default_factory=list)


def test_one_is_equal_by_what_is_compared_hashed_by_what_is_hashed_and_shown_without_its_secrets() -> None:
    door = Door("red", "secret", 1, {"locks": 2})
    assert door == Door("red", "secret", 7, {"locks": 2})
    assert door != Door("red", "secret", 1, {"locks": 3})
    assert door != Door("red", "another", 1, {"locks": 2})
    assert hash(door) == hash(replace(door, seen=2, facts={}))
    assert repr(door) == "Door(colour='red', seen=1, facts={'locks': 2})"
    assert pickle.loads(pickle.dumps(door)) == door


def test_one_that_may_change_has_no_hash() -> None:
    assert Room([Door("red")]) == Room([Door("red")])
    with pytest.raises(TypeError, match="unhashable type: 'Room'"):
        hash(Room())


@pytest.mark.parametrize("make", [dataclass, dataclasses.dataclass])
def test_those_of_other_classes_are_never_equal(make: Callable[..., Any]) -> None:
    one, other = make(frozen=True)(type("One", (), {})), make(frozen=True)(type("Other", (), {}))
    assert one() == one()
    assert one() != other()
