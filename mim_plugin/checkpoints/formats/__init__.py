"""One file a checkpoint family: names and layouts."""
