"""MemoryFileSystems that are each broken in one way. Each must fail FileSystemTests, or those prove nothing."""

from tests.testing.mutants import moving, reading, writing
from tests.testing.mutants.base import MUTANTS

__all__ = ["MUTANTS", "moving", "reading", "writing"]
