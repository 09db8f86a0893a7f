"""Building blocks in plain torch, usable without a registry."""
