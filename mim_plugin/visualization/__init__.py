"""Functions that return figures."""
