"""One file a checkpoint family: names and layouts. See :mod:`mim_plugin.checkpoints.formats.base`."""
