"""Data classes as the standard library has them, made in a third of its time: a run with nothing new makes 120.

The library compiles six functions for each class, a sixth of such a run's processor time. Here it compiles
`__init__` alone; comparison, hash and representation are closures over the fields' names. That nobody changes a frozen
one mypy sees to, at run time nothing does; what has to be refused there too is a class of the library's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: TID251
else:
    from dataclasses import dataclass as library  # noqa: TID251
    from dataclasses import fields
    from operator import attrgetter

    def dataclass(cls=None, /, *, frozen=False, eq=True, kw_only=False):
        """Return a class as a data class; with options alone, the decorator that does so."""
        if cls is None:
            return lambda cls: dataclass(cls, frozen=frozen, eq=eq, kw_only=kw_only)
        library(cls, repr=False, eq=False, kw_only=kw_only)
        every = fields(cls)
        if "__repr__" not in vars(cls):
            cls.__repr__ = _representation([field.name for field in every if field.repr])
        if eq:
            cls.__eq__ = _comparison([field.name for field in every if field.compare])
            hashed = [field.name for field in every if (field.compare if field.hash is None else field.hash)]
            cls.__hash__ = _hash(hashed) if frozen else None
        return cls

    def _representation(names):
        def shown(self):
            values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
            return f"{type(self).__qualname__}({values})"

        return shown

    def _comparison(names):
        values = attrgetter("__class__", *names)  # the class too, so that it is a tuple however many names there are

        def is_equal(self, other):
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        return is_equal

    def _hash(names):
        values = attrgetter("__class__", *names)
        return lambda self: hash(values(self))
