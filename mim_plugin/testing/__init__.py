"""Helpers for tests: tiny models, shrunken configs, golden cases."""
