"""Graphs of trained networks for runtimes without this package: ONNX and ``torch.export``."""

from mim_plugin.deployment.export import Exported, export_graph

__all__ = ['Exported', 'export_graph']
