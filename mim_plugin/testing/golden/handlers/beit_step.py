"""Whole iterations of BEiT's pretraining."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mim_plugin.checkpoints.formats.beit import official_name, to_official
from mim_plugin.engine.optim import MIMOptimWrapperConstructor
from mim_plugin.errors import DataError
from mim_plugin.models.tokenizers import FrozenTokenizer
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.beit_model import AS_IT_IS, backbone_config, load
from mim_plugin.testing.golden.training import RecordingOptimWrapper

__all__ = ['NO_DECAY', 'beit_mim_step', 'build_beit']

NO_DECAY = ('pos_embed', 'cls_token')


class StoredIds(FrozenTokenizer):
    """Stands for a tokenizer whose ids come with the images."""

    has_weights = False

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size

    def grid_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        raise DataError('A case stores the ids of its images, so no grid is computed.')

    def encode(self, images: Tensor) -> Tensor:
        raise DataError('This case has no token_ids; its ids cannot be computed without a tokenizer.')


def build_beit(settings: dict[str, Any]) -> nn.Module:
    """The algorithm of a case."""
    return MODELS.build(
        {
            'type': 'BEiT',
            'backbone': backbone_config(settings, mask_token=True, init='beit'),
            'tokenizer': {'type': StoredIds, 'vocabulary_size': settings['vocab_size']},
            'data_preprocessor': AS_IT_IS,
        }
    )


def beit_mim_step(case: Case) -> Answers:
    """Run the steps of a case on its one batch with the algorithm and optimizer of a training run."""
    settings = case.settings
    model = load(build_beit(settings), case).train()
    outputs = _network_outputs(model, _batch(case))
    wrapper = optim_wrapper(model, settings)
    norms = []
    for step, values in enumerate(zip(settings['lr_values'], settings['wd_values'])):
        _set_groups(wrapper, *values)
        logged = model.train_step(_batch(case), wrapper)
        norms.append(_norm(wrapper.raw))
        if step == 0:
            outputs |= {'loss': logged['loss'], 'mlm_acc': logged['mim_acc'] / 100}
            outputs |= {'grad_norm': norms[0], 'clipped_grad_norm': _norm(wrapper.clipped)}
            names = {p: official_name(name) for name, p in model.named_parameters()}
            outputs |= {f'grad/{names[p]}': grad for p, grad in wrapper.raw.items()}
    outputs['step_grad_norms'] = torch.stack(norms)
    grid = tuple(settings['grid'])
    outputs |= {f'after/{name}': value for name, value in to_official(model.state_dict(), grid)['model'].items()}
    return Answers(outputs)


def optim_wrapper(model: nn.Module, settings: dict[str, Any]) -> RecordingOptimWrapper:
    """The wrapper of BEiT's recipes, with the numbers of a case."""
    clip = settings.get('clip_grad')
    config = {
        'type': RecordingOptimWrapper,
        'optimizer': {
            'type': 'AdamW',
            'lr': settings['lr_values'][0],
            'weight_decay': settings['wd_values'][0],
            'betas': tuple(settings['adam_betas']),
            'eps': settings['adam_eps'],
        },
        'clip_grad': {'max_norm': clip} if clip else None,
    }
    return MIMOptimWrapperConstructor(config, {'no_decay': NO_DECAY})(model)


def _set_groups(wrapper: RecordingOptimWrapper, lr: float, weight_decay: float) -> None:
    decayed, others = wrapper.optimizer.param_groups
    decayed.update(lr=lr, weight_decay=weight_decay)
    others.update(lr=lr)


def _norm(grads: dict[nn.Parameter, Tensor]) -> Tensor:
    return torch.stack([grad.norm() for grad in grads.values()]).norm()


def _batch(case: Case) -> dict:
    inputs, grid = case.inputs, tuple(case.settings['grid'])
    mask = inputs['bool_masked_pos'].bool().unflatten(1, grid)
    return {'inputs': {'global': [inputs['images']], 'mask': [mask], 'ids': [inputs['token_ids']]}}


@torch.no_grad()
def _network_outputs(model: nn.Module, data: dict) -> dict[str, Tensor]:
    """Tokens, scores and labels before the first step."""
    views = model.data_preprocessor(data, True)['inputs']
    scores, index = model.predict_patches(views), views['mask_index']
    return {
        'hidden': model.backbone.forward_tokens(views['global'], views['mask']),
        'all_logits': scores,
        'logits': scores.flatten(0, 1)[index],
        'labels': model.targets(views).patches.flatten()[index],
    }
