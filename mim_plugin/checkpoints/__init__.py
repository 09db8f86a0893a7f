"""Reading and converting checkpoints."""
