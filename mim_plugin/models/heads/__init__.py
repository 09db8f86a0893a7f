"""Heads: how the target is predicted."""
