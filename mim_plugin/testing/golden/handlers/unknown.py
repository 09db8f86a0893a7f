"""What a handler raises for settings that nothing here computes."""


class UnknownCase(Exception):
    """No handler for a case."""
