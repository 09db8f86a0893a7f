"""Backbones: encoders of visible patches."""
