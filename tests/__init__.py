"""Tests. A package, so that another distribution's top-level `tests` does not stand before it."""
