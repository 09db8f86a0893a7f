"""iBOT as a whole, on a tiny model."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS

BACKBONE = {
    'type': 'MIMVisionTransformer',
    'arch': {'embed_dims': 24, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 48},
    'img_size': 32,
    'patch_size': 8,
    'mask_token': True,
    'pos_interpolation': 'ibot',
}
HEAD = {'out_dim': 16, 'hidden_dim': 20, 'bottleneck_dim': 8}


def make_model(**options):
    torch.manual_seed(0)
    config = {'type': 'IBOT', 'backbone': BACKBONE, 'head': HEAD, **options}
    model = MODELS.build(config)
    model.init_weights()
    return model


def make_views(batch=3, num_local=2, hidden=0.4):
    generator = torch.Generator().manual_seed(1)
    views = {
        'global': [torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8, generator=generator) for _ in range(2)],
        'mask': [torch.rand(batch, 4, 4, generator=generator) < hidden for _ in range(2)],
    }
    if num_local:
        views['local'] = [
            torch.randint(0, 256, (batch, 3, 16, 16), dtype=torch.uint8, generator=generator) for _ in range(num_local)
        ]
    return {'inputs': views}


def losses_of(model, data):
    return model(model.data_preprocessor(data, True)['inputs'], mode='loss')


def test_the_teacher_starts_as_the_student():
    model = make_model()
    student = model.backbone.state_dict()
    assert 'mask_token' in student and 'mask_token' not in model.tokenizer.backbone.state_dict()
    for name, value in model.tokenizer.backbone.state_dict().items():
        assert torch.equal(value, student[name]), name
    assert not any(p.requires_grad for p in model.tokenizer.parameters())


def test_every_parameter_of_the_student_learns():
    model = make_model()
    sum(v for k, v in losses_of(model, make_views()).items() if 'loss' in k).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


@pytest.mark.parametrize('norm', [None, 'bn'])
def test_no_hidden_patch_gives_a_finite_loss_and_gradients_for_ddp(norm):
    model = make_model(head={**HEAD, 'norm': norm})
    losses = losses_of(model, make_views(hidden=0.0))
    assert losses['loss_patch'] == 0 and losses['loss_cls'].isfinite()
    (losses['loss_cls'] + losses['loss_patch']).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_two_global_crops_without_masks_are_dino():
    data = make_views(num_local=0)
    del data['inputs']['mask']
    assert losses_of(make_model(), data)['loss_patch'] == 0


def test_the_teacher_follows_the_student():
    model = make_model()
    before = {n: p.clone() for n, p in model.tokenizer.named_parameters()}
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p))
    losses_of(model, make_views())
    model.update_teacher(0.75)
    student = dict(model.named_parameters())
    for name, p in model.tokenizer.named_parameters():
        torch.testing.assert_close(p, 0.75 * before[name] + 0.25 * student[name])
    assert model.loss_module.center.abs().sum() > 0


def test_semi_shared_head_starts_at_the_patch_prototypes_and_follows_those_of_cls():
    model = make_model(head={**HEAD, 'shared': False}, tokenizer={'head': {'shared': True}})
    teacher, student = model.tokenizer.head.last_layer, model.head
    assert torch.equal(teacher.weight_v, student.last_layer2.weight_v)
    model.update_teacher(0.0)
    torch.testing.assert_close(teacher.weight_v, student.last_layer.weight_v)


def test_different_patch_widths_are_refused():
    with pytest.raises(ConfigError, match='head.patch_out_dim'):
        make_model(head={**HEAD, 'shared': False, 'patch_out_dim': 5}, tokenizer={'head': {'shared': True}})


class HostReads(TorchDispatchMode):
    """Count what would make the host wait for a device."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.count += name in ('_local_scalar_dense', 'nonzero', 'masked_select', 'is_nonzero', 'equal')
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('dtype', [None, torch.bfloat16])
def test_a_step_never_reads_from_the_device(dtype):
    model = make_model(backbone={**BACKBONE, 'drop_path_rate': 0.1})
    views = model.data_preprocessor(make_views(), True)['inputs']
    with HostReads() as reads:
        with torch.autocast('cpu', dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            losses = model(views, mode='loss')
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        model.update_teacher(0.9)
    assert reads.count == 0


def test_features_are_those_of_the_teacher_unless_asked():
    model = make_model().eval()
    with torch.no_grad():
        model.backbone.cls_token.add_(1.0)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(images), model.tokenizer.backbone.forward_tokens(images)[:, 0])
    assert not torch.allclose(model.extract_feat(images, network='student'), model(images))
