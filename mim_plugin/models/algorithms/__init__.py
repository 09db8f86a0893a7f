"""Algorithms: they wire views, backbone, tokenizer and head."""
