"""From a config and its weights to graphs in files, each compared with the network that it was made of."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from mim_plugin.apis.config_errors import explain_build_errors, read_config
from mim_plugin.apis.config_tree import type_name
from mim_plugin.apis.one_call import init_model
from mim_plugin.apis.run import prepare_config
from mim_plugin.apis.tasks import check_toolbox
from mim_plugin.deployment.eager import eager_features, eager_segmentation
from mim_plugin.deployment.files import check_target, load_graph, save_graph
from mim_plugin.deployment.graphs import BackboneGraph, SegmentorGraph
from mim_plugin.deployment.traceable import fix_size, fixed_size_reason
from mim_plugin.errors import CheckpointError, ConfigError

__all__ = ['Exported', 'export_graph']

PARTS = ('backbone', 'segmentor')
TOLERANCE = 1e-4
_CHANGED = 1e-3  # of the pixels
_SMALLEST = 4  # patches of a side: the coarsest map of a pyramid still has two cells
_AXES = {0: 'batch', 2: 'height', 3: 'width'}

Size = tuple[int, int]
Run = Callable[[Tensor], Sequence[Tensor]]


@dataclass(frozen=True)
class Exported:
    """A graph that was written. ``str()`` gives one line.

    Attributes:
        path: The file.
        size: Height and width of its images; None: any.
        smallest: The least height and width, if any size goes.
        outputs: Names of the results.
        difference: Largest difference between a result of the file and of the network, relative to the largest
            value of that result, over all images that were tried.
    """

    path: Path
    size: Size | None
    smallest: int
    outputs: tuple[str, ...]
    difference: float

    def __str__(self) -> str:
        sides = 'H, W' if self.size is None else f'{self.size[0]}, {self.size[1]}'
        limit = f', H and W from {self.smallest} on' if self.size is None else ''
        return (
            f'{self.path}: images (B, 3, {sides}) uint8 RGB{limit} -> {", ".join(self.outputs)}; '
            f'relative difference from the network {self.difference:.1e}'
        )


def export_graph(
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike,
    path: str | os.PathLike,
    *,
    part: str | None = None,
    sizes: Sequence[Size] = (),
    dynamic: bool = False,
    opset: int | None = None,
    cfg_options: dict | None = None,
) -> list[Exported]:
    """Write the backbone or the segmentor of a config as a graph, run what was written, and compare.

    Args:
        config: A config, or its path.
        checkpoint: Its weights; for a backbone every kind of file that ``load_pretrained`` knows.
        path: The file, ``*.onnx`` or ``*.pt2`` (torch.export). Of several sizes each gets a file ``*_HxW``.
        part: 'backbone' or 'segmentor'; None: the segmentor if the config is one's.
        sizes: Heights and widths, a graph each; none: the backbone's ``img_size``.
        dynamic: One graph for images of any size. The number of images is always free.
        opset: Version of ONNX's operators; None: 18.
        cfg_options: Overrides of the config with dotted keys.

    Returns:
        What was written, a graph each.

    Raises:
        ConfigError: What is asked for cannot be exported, or needs packages that are missing.
        CheckpointError: The weights do not fit, or the file computes something else than the network.
    """
    check_target(path, opset)
    if dynamic and sizes:
        raise ConfigError('--dynamic makes a graph for images of any size; leave --size out.')
    cfg = copy.deepcopy(config) if isinstance(config, Config) else read_config(str(config))
    cfg.pop('optim_wrapper', None)  # nothing is trained
    cfg = prepare_config(cfg, cfg_options=cfg_options)
    check_toolbox(cfg)
    part = part or ('segmentor' if _has_segmentor(cfg) else 'backbone')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mim_plugin')):
        make, backbone, reference = (_segmentor if part == 'segmentor' else _backbone)(cfg, str(checkpoint))
    reason = fixed_size_reason(backbone)
    if dynamic and reason:
        raise ConfigError(f'--dynamic cannot be: {reason}; name each size of images by --size H W, a graph each.')
    if dynamic:
        return [_export_dynamic(make(), path, opset, _usual_size(cfg), reference)]
    sizes = list(sizes) or [_usual_size(cfg)]
    _check_sizes(sizes, backbone)
    return [_export_fixed(make(), _path_of(path, size, sizes), opset, size, reference) for size in sizes]


def _has_segmentor(cfg: Config) -> bool:
    return 'decode_head' in (cfg.get('model') or {})


def _segmentor(cfg: Config, checkpoint: str) -> tuple[Callable[[], nn.Module], nn.Module, Run]:
    """What makes the graph, its backbone, and what the network itself computes."""
    if not _has_segmentor(cfg):
        raise ConfigError(f'{cfg.filename} has no model.decode_head, so no segmentor; export its backbone.')
    model = init_model(cfg, checkpoint, device='cpu')
    kinds = {base.__name__ for base in type(model).__mro__}
    if 'EncoderDecoder' not in kinds or 'CascadeEncoderDecoder' in kinds:
        raise ConfigError(f'{cfg.filename} has a {type(model).__name__}; only an EncoderDecoder can be exported.')
    preprocessor = cfg.model.get('data_preprocessor')
    return lambda: SegmentorGraph(model, preprocessor).eval(), model.backbone, eager_segmentation(model)


def _backbone(cfg: Config, checkpoint: str) -> tuple[Callable[[], nn.Module], nn.Module, Run]:
    from mim_plugin.checkpoints import load_pretrained

    if not (cfg.get('model') or {}).get('backbone'):
        raise ConfigError(f'{cfg.filename} has no model.backbone; take the config of a training run.')
    with explain_build_errors(cfg):
        backbone = MODELS.build(cfg.model.backbone).eval()
    if not hasattr(backbone, 'out_indices'):
        raise ConfigError(f'{type(backbone).__name__} has no out_indices, which name the results; wrap it in a class.')
    load_pretrained(backbone, checkpoint)
    preprocessor = _preprocessor(cfg)
    return lambda: BackboneGraph(backbone, preprocessor).eval(), backbone, eager_features(backbone, preprocessor)


def _preprocessor(cfg: Config) -> dict | None:
    """The entry of a config, with the class that its model would take."""
    entry = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor')
    if not entry or 'type' in entry:
        return entry
    classifier = type_name(cfg.model) == 'ImageClassifier'
    return dict(entry, type='mmpretrain.ClsDataPreprocessor' if classifier else 'mim_plugin.MIMDataPreprocessor')


def _usual_size(cfg: Config) -> Size:
    size = cfg.model.backbone.get('img_size', 224)
    return (size, size) if isinstance(size, int) else tuple(size)


def _check_sizes(sizes: Sequence[Size], backbone: nn.Module) -> None:
    patch = getattr(backbone, 'patch_size', 1)
    for size in sizes:
        if min(size) < patch:
            raise ConfigError(f'--size {size[0]} {size[1]} is less than a patch of {patch} pixels; take a larger one.')


def _path_of(path: str | os.PathLike, size: Size, sizes: Sequence[Size]) -> Path:
    path = Path(path)
    return path if len(sizes) == 1 else path.with_stem(f'{path.stem}_{size[0]}x{size[1]}')


def _export_fixed(graph: nn.Module, path: Path, opset: int | None, size: Size, reference: Run) -> Exported:
    fix_size(graph.backbone, *size)
    program = _trace(graph, size, {0: torch.export.Dim('batch', min=1)}, path)
    check = partial(_compare, reference=reference, batches=[(1, size), (3, size)], opset=opset)
    difference = save_graph(program, path, {0: 'batch'}, graph.output_names, opset, check)
    return Exported(path, size, min(size), tuple(graph.output_names), difference)


def _export_dynamic(
    graph: nn.Module, path: str | os.PathLike, opset: int | None, usual: Size, reference: Run
) -> Exported:
    path, patch = Path(path), graph.backbone.patch_size
    smallest = _SMALLEST * patch
    shapes = {axis: torch.export.Dim(name, min=smallest if axis else 1) for axis, name in _AXES.items()}
    # Traced with other numbers of patches than the usual ones, and with none that are equal.
    program = _trace(graph, (usual[0] + 3 * patch, usual[1] + 5 * patch), shapes, path)
    odd = max(smallest, usual[0] // 2 + 5), max(smallest, usual[1] // 2 + patch + 1)
    batches = [(1, usual), (3, odd), (2, (smallest, smallest))]
    check = partial(_compare, reference=reference, batches=batches, opset=opset)
    difference = save_graph(program, path, _AXES, graph.output_names, opset, check)
    return Exported(path, None, smallest, tuple(graph.output_names), difference)


def _trace(graph: nn.Module, size: Size, shapes: dict, path: Path) -> torch.export.ExportedProgram:
    images = torch.zeros(2, 3, *size, dtype=torch.uint8)  # one image would be taken for the only number there is
    try:
        with torch.no_grad():
            return torch.export.export(graph, (images,), dynamic_shapes=(shapes,))
    except Exception as error:  # noqa: BLE001  torch raises whatever a traced layer meets
        reason = ' '.join(str(error).split())[:300]
        raise ConfigError(f'{path} was not written, a layer of the network cannot be traced: {reason}') from error


def _compare(path: Path, reference: Run, batches: Sequence[tuple[int, Size]], opset: int | None) -> float:
    """The largest relative difference between a file and the network.

    Raises:
        ConfigError: The runtime does not take the file.
        CheckpointError: The file computes something else.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randint(0, 256, (n, 3, *size), dtype=torch.uint8, generator=generator) for n, size in batches]
    try:
        run = load_graph(path)
        results = [run(images) for images in inputs]
    except Exception as error:  # noqa: BLE001  a runtime raises its own types
        reason = ' '.join(str(error).split())[:300]
        raise ConfigError(
            f'{path.name} was not written, its runtime does not take it ({reason}); try the other format, or '
            f'{"another" if opset else "an"} --opset.'
        ) from error
    pairs = [zip(found, reference(images), strict=True) for found, images in zip(results, inputs)]
    largest = max(_difference(found, wanted) for pair in pairs for found, wanted in pair)
    if not largest <= TOLERANCE:
        raise CheckpointError(
            f'{path.name} was not written: its results differ from those of the network by {largest:.1e} of their '
            f'largest value, more than {TOLERANCE}; try the other format, or another --opset.'
        )
    return largest


def _difference(found: Tensor, wanted: Tensor) -> float:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return float('inf')
    if not wanted.is_floating_point():  # two classes that are all but equal may change places
        return 0.0 if (found == wanted).float().mean() > 1 - _CHANGED else float('inf')
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-12))
