"""Necks between a plain backbone and a dense head."""
