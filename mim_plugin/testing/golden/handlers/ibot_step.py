"""Whole iterations of iBOT pretraining."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats.ibot import official_name, to_official, value_to_official
from mim_plugin.models import MIMDataPreprocessor
from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.ibot_model import backbone_config, head_config
from mim_plugin.testing.golden.training import TrainingRun

__all__ = ['build_ibot', 'ibot_step']


def build_ibot(settings: dict[str, Any]) -> nn.Module:
    """The algorithm of a case."""
    return MODELS.build(
        {
            'type': 'IBOT',
            'backbone': backbone_config(settings),
            'head': head_config(settings),
            'tokenizer': {'head': {'shared': settings['shared_head_teacher'], 'norm_last_layer': True}},
            'loss': {
                'student_temp': settings['student_temp'],
                'center_momentum': settings['center_momentum'],
                'patch_center_momentum': settings['center_momentum2'],
                'cls_weight': settings['lambda1'],
                'patch_weight': settings['lambda2'],
            },
            # The crops of a case are normalised already.
            'data_preprocessor': {
                'type': MIMDataPreprocessor if settings['use_masked_im_modeling'] else _NothingHidden,
                'mean': (0, 0, 0),
                'std': (1, 1, 1),
            },
        }
    )


class _NothingHidden(MIMDataPreprocessor):
    """Masks choose the patches of the loss, but the student sees them."""

    def forward(self, data: dict, training: bool = False) -> dict:
        data = super().forward(data, training)
        data['inputs']['mask'] = None
        return data


def ibot_step(case: Case) -> Answers:
    """Run the steps of a case with the algorithm, wrapper, schedulers and hooks of a training run."""
    settings = case.settings
    model = build_ibot(settings)
    _load(model, case)
    model.train()
    outputs = {f'teacher_initial/{name}': v for name, v in _state(model)['teacher'].items()}
    outputs |= _network_outputs(model, _batch(case, 0))
    run = TrainingRun(model, settings, settings['epoch'])
    recorder = _Recorder(model, run)
    for step in range(settings['n_steps']):
        outputs |= {f'{name}_{step}': value for name, value in recorder.step(_batch(case, step)).items()}
    outputs |= recorder.first_gradients
    for network, state in _state(model).items():
        for name, value in state.items():
            outputs[f'after/{network}/{name}'] = value
            if name.endswith('attn.qkv.bias'):
                outputs[f'after_qv/{network}/{name}'] = torch.cat([value.chunk(3)[0], value.chunk(3)[2]])
    return Answers(outputs, recorder.facts)


def _student_names(model: nn.Module) -> dict[nn.Parameter, str]:
    """Official name of every parameter of the student, in order."""
    return {
        p: f'module.{official_name(name)}'
        for name, p in model.named_parameters()
        if name.startswith(('backbone.', 'head.'))
    }


class _Recorder:
    """Steps a run and notes what the case stores."""

    def __init__(self, model: nn.Module, run: TrainingRun) -> None:
        self.model, self.run = model, run
        self.names = _student_names(model)
        self.first_gradients: dict[str, Tensor] = {}
        self.optimizer_steps = dict.fromkeys(self.names.values(), 0)
        loss = model.loss_module
        groups = [[self.names[p] for p in group['params']] for group in run.groups]
        self.facts: dict[str, Any] = {
            'lr': [],
            'weight_decay': [],
            'momentum': [],
            'teacher_temp': loss.teacher_temp,
            'teacher_patch_temp': loss.teacher_patch_temp,
            'regularized': groups[0],
            'not_regularized': groups[1],
            'optimizer_steps_per_parameter': self.optimizer_steps,
        }
        # The hook calls the model's method; it is noted on the way.
        self._update_teacher = model.update_teacher
        model.update_teacher = self._note_momentum

    def _note_momentum(self, momentum: float) -> None:
        self.facts['momentum'].append(momentum)
        self._update_teacher(momentum)

    def step(self, data: dict) -> dict[str, Tensor]:
        group = self.run.groups[0]
        self.facts['lr'].append(group['lr'])
        self.facts['weight_decay'].append(group['weight_decay'])
        logged = self.run.train_iter(data)
        wrapper, loss = self.run.optim_wrapper, self.model.loss_module
        for p in wrapper.used:
            self.optimizer_steps[self.names[p]] += 1
        if not self.first_gradients:
            self._note_gradients(wrapper)
        return {
            'loss': logged['loss'],
            'cls': logged['loss_cls'],
            'patch': logged['loss_patch'],
            'grad_norms': torch.stack([wrapper.raw[p].norm() for p in self.names if p in wrapper.raw]),
            'center_after': loss.center.clone(),
            'center2_after': loss.center2.clone(),
        }

    def _note_gradients(self, wrapper: Any) -> None:
        raw, clipped = wrapper.raw, wrapper.clipped
        for title, grads in (('grad', raw), ('grad_clipped', clipped)):
            for p, grad in grads.items():
                self.first_gradients[f'{title}/{self.names[p]}'] = value_to_official(self.names[p], grad)
        have = [p for p in self.names if p in raw]
        self.facts |= {
            'grad_norm_order': [self.names[p] for p in have],
            'parameters_without_gradient': [name for p, name in self.names.items() if p not in raw],
            'number_of_clipped_parameters_step0': sum(not torch.equal(raw[p], clipped[p]) for p in have),
            'gradients_cancelled': [self.names[p] for p in have if p not in wrapper.used],
        }


def _load(model: nn.Module, case: Case) -> None:
    """Fill the algorithm through the converter: both networks, or the student and its copy."""
    weights = case.weights
    if case.settings['teacher_init'] == 'stored':
        load_pretrained(model, weights, logger=None)
        return
    state = {name.removeprefix('module.'): value for name, value in weights['student'].items()}
    state |= {f'loss_module.{name}': value for name, value in weights['ibot_loss'].items()}
    load_pretrained(model, {'state_dict': state}, logger=None)


def _state(model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Both networks under official names; the cases never prefix the teacher's."""
    official = to_official({name: value.clone() for name, value in model.state_dict().items()})
    teacher = {name.removeprefix('module.'): value for name, value in official['teacher'].items()}
    return {'student': official['student'], 'teacher': teacher}


def _batch(case: Case, step: int) -> dict:
    settings, inputs = case.settings, case.inputs
    crops = [inputs[f'step{step}_crop{i}'] for i in range(settings['n_global'] + settings['n_local'])]
    masks = [inputs[f'step{step}_mask{i}'] for i in range(settings['n_global'])]
    return {'inputs': {'global': crops[: settings['n_global']], 'local': crops[settings['n_global'] :], 'mask': masks}}


@torch.no_grad()
def _network_outputs(model: nn.Module, data: dict) -> dict[str, Tensor]:
    """Scores of all tokens before the first step. A copy, because batch norm counts its calls."""
    model = copy.deepcopy(model)
    views = model.data_preprocessor(data, True)['inputs']
    names = ('student_cls', 'student_patch', 'teacher_cls', 'teacher_patch')
    student = model.head(model.backbone.forward_tokens(views['global'], views['mask']))
    teacher = model.tokenizer.head(model.tokenizer.backbone.forward_tokens(views['global']))
    outputs = dict(zip(names, (*student, *teacher)))
    if views['local'] is not None:
        outputs['student_local_cls'] = model.head(model.backbone.forward_tokens(views['local']))[0]
    return outputs
