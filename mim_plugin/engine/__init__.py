"""What the Runner drives: optimizers, hooks and loops."""
