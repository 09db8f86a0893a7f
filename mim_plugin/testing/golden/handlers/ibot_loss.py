"""The loss of iBOT and its centres, in one process and in several."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch import distributed as dist
from torch import multiprocessing as mp

from mim_plugin.registry import MODELS
from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.training import teacher_temperatures

__all__ = ['build_loss', 'ibot_loss', 'ibot_loss_distributed']


def build_loss(settings: dict[str, Any]) -> torch.nn.Module:
    """The loss module of a case, without temperatures."""
    return MODELS.build(
        {
            'type': 'SelfDistillationLoss',
            'out_dim': settings['out_dim'],
            'patch_out_dim': settings['patch_out_dim'],
            'student_temp': settings['student_temp'],
            'center_momentum': settings['center_momentum'],
            'patch_center_momentum': settings['center_momentum2'],
            'cls_weight': settings['lambda1'],
            'patch_weight': settings['lambda2'],
        }
    )


def ibot_loss(case: Case) -> Answers:
    """Losses, gradients and centres of consecutive calls."""
    outputs = loss_outputs(case.settings, case.inputs, case.weights['ibot_loss'])
    epochs = case.settings['epoch_of_call']
    cls_temps, patch_temps = teacher_temperatures(case.settings)
    return Answers(
        outputs,
        {'teacher_temp': [cls_temps[e] for e in epochs], 'teacher_patch_temp': [patch_temps[e] for e in epochs]},
    )


def ibot_loss_distributed(case: Case) -> Answers:
    """The same in several processes: each has its rows, the centres move by the mean of all."""
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder)
        mp.spawn(_one_process, (case.settings, case.inputs, case.weights['ibot_loss'], shared), _world_size(case))
        outputs = {
            f'rank{rank}/{name}': value
            for rank in range(_world_size(case))
            for name, value in load_file(shared / f'{rank}.safetensors').items()
        }
    cls_temps, patch_temps = teacher_temperatures(case.settings)
    epochs = case.settings['epoch_of_call']
    return Answers(
        outputs,
        {'teacher_temp': [cls_temps[e] for e in epochs], 'teacher_patch_temp': [patch_temps[e] for e in epochs]},
    )


def _world_size(case: Case) -> int:
    return int(case.settings['world_size'])


def _one_process(
    rank: int, settings: dict[str, Any], inputs: dict[str, Tensor], centers: dict[str, Tensor], shared: Path
) -> None:
    torch.set_num_threads(1)
    # A file to meet at cannot be taken by somebody else, as a port can.
    dist.init_process_group('gloo', f'file://{shared}/meet', rank=rank, world_size=settings['world_size'])
    prefix = f'rank{rank}_'
    own = {name.removeprefix(prefix): value for name, value in inputs.items() if name.startswith(prefix)}
    outputs = {
        name: torch.as_tensor(v).detach().contiguous() for name, v in loss_outputs(settings, own, centers).items()
    }
    save_file(outputs, shared / f'{rank}.safetensors')
    dist.barrier()
    dist.destroy_process_group()


def loss_outputs(
    settings: dict[str, Any], inputs: Mapping[str, Tensor], centers: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What one process stores after every call."""
    loss = build_loss(settings)
    loss.load_state_dict(centers)
    cls_temps, patch_temps = teacher_temperatures(settings)
    outputs: dict[str, Tensor] = {}
    for call, epoch in enumerate(settings['epoch_of_call']):
        loss.teacher_temp, loss.teacher_patch_temp = cls_temps[epoch], patch_temps[epoch]
        for name, value in _one_call(loss, inputs, call).items():
            outputs[f'{name}_{call}'] = value
    return outputs


def _one_call(loss: torch.nn.Module, inputs: Mapping[str, Tensor], call: int) -> dict[str, Tensor]:
    names = [f'{name}_{call}' for name in ('student_cls', 'student_local_cls', 'student_patch')]
    student = {name: inputs[name].clone().requires_grad_() for name in names if name in inputs}
    patch_name = names[-1]
    teacher_cls, teacher_patch = inputs[f'teacher_cls_{call}'], inputs[f'teacher_patch_{call}']
    masks = inputs[f'masks_{call}']
    hidden = MODELS.build({'type': 'MIMDataPreprocessor'})._hidden_patches(masks.flatten(0, 1))
    index = hidden['mask_index']

    scores = torch.cat([student[name] for name in names[:2] if name in student])
    cls = loss.class_loss(scores, teacher_cls, num_global=len(masks))
    patch = loss.patch_loss(
        student[patch_name].flatten(0, 1)[index],
        teacher_patch.flatten(0, 1)[index],
        hidden['mask_weight'],
        len(teacher_cls),
    )
    loss.observe(teacher_cls, teacher_patch.flatten(0, 1).mean(0, keepdim=True))
    (cls + patch).backward()
    loss.update_centers()
    outputs = {'loss': cls + patch, 'cls': cls, 'patch': patch}
    outputs |= {f'grad/{name.removesuffix(f"_{call}")}': value.grad for name, value in student.items()}
    return outputs | {'center_after': loss.center.clone(), 'center2_after': loss.center2.clone()}
