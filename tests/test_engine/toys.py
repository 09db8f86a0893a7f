"""A toy self-distillation run: every part that the engine talks to, in a few numbers."""

import copy

import torch
from mmengine import dist
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from mim_plugin.registry import DATASETS, MODELS


@DATASETS.register_module(name='EngineToyImages', force=True)
class ToyImages(Dataset):
    """Noise on top of a fixed image, so that a batch depends on the random state of its step."""

    def __init__(self, size=22, noise=0.1):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(size, 6, generator=generator)
        self.noise = noise
        self.epochs, self.seeds, self.seen = [], [], []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)
        self.seeds.append(torch.initial_seed())

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.seen.append(index)
        return {'inputs': self.images[index] + self.noise * torch.randn(6)}


class ToyHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Linear(8, 8)
        self.last_layer = nn.Linear(8, 5, bias=False)

    def forward(self, x):
        return self.last_layer(F.gelu(self.mlp(x)))


class ToyLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.teacher_temp = self.teacher_patch_temp = 0.04
        self.register_buffer('center', torch.zeros(1, 5))


@MODELS.register_module(name='EngineToyDistillation', force=True)
class ToyDistillation(BaseModel):
    """Student with dropout, EMA teacher, centre."""

    def __init__(self, data_preprocessor=None, break_at=None, break_by=float('nan')):
        super().__init__(data_preprocessor)
        generator = torch.random.get_rng_state()
        torch.manual_seed(7)
        self.backbone = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Dropout(0.2))
        self.head = ToyHead()
        torch.random.set_rng_state(generator)
        self.tokenizer = nn.Module()
        self.tokenizer.backbone, self.tokenizer.head = copy.deepcopy(self.backbone), copy.deepcopy(self.head)
        self.tokenizer.requires_grad_(False)
        self.loss_module = ToyLoss()
        self.break_at, self.break_by = break_at, break_by
        self.calls, self.momenta, self.temps, self.losses = 0, [], [], []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode != 'loss':
            return self.extract_feat(inputs)
        with torch.no_grad():
            scores = self.tokenizer.head(self.tokenizer.backbone(inputs)).float()
        self.temps.append((self.loss_module.teacher_temp, self.loss_module.teacher_patch_temp))
        target = ((scores - self.loss_module.center) / self.loss_module.teacher_temp).softmax(-1)
        student = self.head(self.backbone(inputs)).float()
        loss = -(target * (student / 0.1).log_softmax(-1)).sum(-1).mean()
        self.mean_score = scores.mean(0, keepdim=True)
        if self.calls == self.break_at:
            loss = loss * self.break_by
        self.calls += 1
        self.losses.append(loss.detach())
        return {'loss_cls': loss, 'acc': (target.argmax(-1) == student.argmax(-1)).float().mean()}

    def extract_feat(self, images):
        with torch.no_grad():
            return self.tokenizer.backbone(images)

    def update_teacher(self, momentum):
        self.momenta.append(momentum)
        dist.all_reduce(self.mean_score, 'mean')
        with torch.no_grad():
            self.loss_module.center.lerp_(self.mean_score, 0.1)
            for teacher, student in zip(self.tokenizer.backbone.parameters(), self.backbone.parameters()):
                teacher.lerp_(student, 1 - momentum)
            for teacher, student in zip(self.tokenizer.head.parameters(), self.head.parameters()):
                teacher.lerp_(student, 1 - momentum)


def toy_config(work_dir, changes=None):
    """Config of 3 epochs of 5 batches.

    Args:
        work_dir: Folder of the run.
        changes: Dotted keys and their values.
    """
    cfg = Config(
        dict(
            default_scope='mim_plugin',
            model=dict(type='EngineToyDistillation'),
            work_dir=str(work_dir),
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                dataset=dict(type='EngineToyImages'),
                sampler=dict(type='ResumableSampler', shuffle=True),
                collate_fn=dict(type='default_collate'),
                drop_last=True,
            ),
            train_cfg=dict(type='ResumableEpochLoop', max_epochs=3),
            optim_wrapper=dict(
                type='MIMOptimWrapper',
                constructor='MIMOptimWrapperConstructor',
                optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.04),
                clip_grad=dict(max_norm=0.3, per_parameter=True),
            ),
            param_scheduler=[
                dict(type='WarmupCosineLR', eta_min=1e-4, warmup_epochs=1, convert_to_iter_based=True),
                dict(
                    type='WarmupCosineParamScheduler',
                    param_name='weight_decay',
                    end_value=0.4,
                    convert_to_iter_based=True,
                ),
            ],
            default_hooks=dict(
                runtime_info=dict(type='DeviceRuntimeInfoHook'),
                logger=dict(type='LoggerHook', interval=3),
                checkpoint=dict(type='CheckpointHook', interval=1),
            ),
            custom_hooks=[
                dict(type='MomentumTeacherHook', momentum=0.9),
                dict(type='SelfDistillationScheduleHook', warmup_epochs=2),
                dict(type='FreezeLastLayerHook', epochs=1),
            ],
            randomness=dict(seed=3),
            log_level='WARNING',
        )
    )
    cfg.merge_from_dict(changes or {})
    return cfg
