"""Evaluation on frozen features in place of validation or testing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.protocol import FrozenFeatureProtocol
from mim_plugin.registry import LOOPS


@LOOPS.register_module()
class FrozenFeatureLoop(BaseLoop):
    """Compares test images with labelled training images by their frozen features.

    As ``test_cfg`` it serves ``tools/test.py``; as ``val_cfg`` it validates during training, and
    ``CheckpointHook(save_best='knn/top1_k20')`` works. Both forms need ``{test,val}_dataloader`` and
    ``{test,val}_evaluator``, as in any OpenMMLab config::

        bank_dataloader = dict(...)
        test_cfg = dict(type='FrozenFeatureLoop')
        test_evaluator = dict(type='KNNMetric', k=(10, 20), temperature=.07)

    Args:
        runner: The runner.
        dataloader: Test images; given by the runner.
        evaluator: Metrics; given by the runner.
        bank_dataloader: Labelled training images under the evaluation transform; default is the
            config's ``bank_dataloader``.
        extractor: See :class:`FrozenFeatureProtocol`.
        baselines: See :class:`FrozenFeatureProtocol`.

    Raises:
        ConfigError: If there is no bank, or it is too small for a metric.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Evaluator | dict | list,
        bank_dataloader: DataLoader | dict | None = None,
        extractor: dict[str, Any] | None = None,
        baselines: bool = True,
    ) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = evaluator if isinstance(evaluator, Evaluator) else runner.build_evaluator(evaluator)
        self.evaluator.dataset_meta = getattr(self.dataloader.dataset, 'metainfo', None)
        bank_dataloader = bank_dataloader or runner.cfg.get('bank_dataloader')
        if bank_dataloader is None:
            raise ConfigError('FrozenFeatureLoop has no images to compare with; set bank_dataloader in the config.')
        bank = runner.build_dataloader(bank_dataloader, seed=runner.seed)
        self.protocol = FrozenFeatureProtocol(self.evaluator, bank, extractor, baselines)

    def run(self) -> dict[str, float]:
        """Launch the evaluation.

        Returns:
            Figures of all metrics.
        """
        # The runner tells its loops apart by where it keeps them only.
        mode = 'test' if self.runner._test_loop is self else 'val'
        self.runner.call_hook(f'before_{mode}')
        self.runner.call_hook(f'before_{mode}_epoch')
        with self.protocol.session(self.runner.model):
            for index, batch in enumerate(self.dataloader):
                self._run_iter(mode, index, batch)
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook(f'after_{mode}_epoch', metrics=metrics)
        self.runner.call_hook(f'after_{mode}')
        return metrics

    def _run_iter(self, mode: str, index: int, batch: Sequence[dict]) -> None:
        self.runner.call_hook(f'before_{mode}_iter', batch_idx=index, data_batch=batch)
        outputs = self.protocol.process(batch)
        self.runner.call_hook(f'after_{mode}_iter', batch_idx=index, data_batch=batch, outputs=outputs)
