"""One-call interfaces."""
