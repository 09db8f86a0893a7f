"""DINO, dense DINO, BEiT with DINO and the variants of iBOT against loops that say what is compared with what."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mim_plugin.checkpoints import load_pretrained
from mim_plugin.checkpoints.formats.ibot import network_to_official, to_official
from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.models.algorithms import FeatureExtractor
from mim_plugin.registry import MODELS
from tests.test_models.test_algorithms import plain_ibot

BACKBONE = {
    'type': 'MIMVisionTransformer',
    'arch': {'embed_dims': 24, 'num_layers': 2, 'num_heads': 2, 'feedforward_channels': 48},
    'img_size': 32,
    'patch_size': 8,
    'pos_interpolation': 'ibot',
}
MASKED = {**BACKBONE, 'mask_token': True}
HEAD = {'out_dim': 16, 'hidden_dim': 20, 'bottleneck_dim': 8}
SEPARATE = {'shared': False, 'patch_out_dim': 12}
COLORS = {'type': 'MeanColorTokenizer', 'patch_size': 4, 'bits': 1}
SETTINGS = {
    'patch_size': 8, 'embed_dim': 24, 'num_heads': 2, 'depth': 2, 'img_size': 32, 'norm_eps': 1e-6,
    'act_in_head': 'gelu', 'norm_in_head': None, 'head_nlayers': 3, 'head_bottleneck_dim': 8,
    'n_global': 2, 'student_temp': 0.1, 'lambda1': 1.0, 'lambda2': 1.0,
}  # fmt: skip
TEMPS = (0.05, 0.06)
BATCH = 3


def make_model(kind='IBOT', **options):
    torch.manual_seed(0)
    options.setdefault('backbone', MASKED if kind in ('IBOT', 'BEiTDINO') else BACKBONE)
    model = MODELS.build({'type': kind, 'head': HEAD, **options})
    model.init_weights()
    with torch.no_grad():  # nothing is zero, teacher and student differ
        for name, p in model.named_parameters():
            if 'patch_tokenizer' not in name:
                p.add_(torch.randn_like(p) * 0.1)
    loss = model.loss_module
    loss.teacher_temp, loss.teacher_patch_temp = TEMPS
    for center in (loss.center, loss.center2):
        center.normal_(std=0.1)
    return model


def make_views(num_local=2, masked=True, local_masked=False, **more):
    generator = torch.Generator().manual_seed(1)

    def images(side):
        return torch.randint(0, 256, (BATCH, 3, side, side), dtype=torch.uint8, generator=generator)

    def masks(side, count):
        masks = [torch.rand(BATCH, side, side, generator=generator) < 0.4 for _ in range(count)]
        masks[0][0] = False  # one crop without hidden patches
        return masks

    views = {'global': [images(32), images(32)], 'local': [images(16) for _ in range(num_local)], **more}
    if masked:
        views['mask'] = masks(4, 2)
    if local_masked:
        views['local_mask'] = masks(2, num_local)
    return {'inputs': views}


def prepare(model, data):
    return model.data_preprocessor(data, True)['inputs']


def official(network):
    """Both parts of a network for the plain implementation; the tensors are those of the modules."""
    names = {f'{part}.{n}': p for part in ('backbone', 'head') for n, p in getattr(network, part).named_parameters()}
    return network_to_official(names)


def plain_networks(model, views, s, shared=True, shared_teacher=True, mask=None):
    student, teacher = official(model), official(model.tokenizer)
    with torch.no_grad():
        seen = plain_ibot.network(teacher, views['global'], None, s, shared_teacher)
    ours = plain_ibot.network(student, views['global'], mask, s, shared)
    local = None
    if views['local'] is not None:
        local = plain_ibot.network(student, views['local'], views['local_mask'], s, shared)
    return ours, seen, local


def assert_same(model, losses, expected):
    """Terms, and the gradient of their sum for every parameter."""
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value.to(losses[name]), rtol=2e-5, atol=1e-6, msg=lambda m: name + m)
    params = {name: p for name, p in model.named_parameters() if p.requires_grad}
    ours, plain = (
        torch.autograd.grad(sum(terms[name] for name in expected), list(params.values()), allow_unused=True)
        for terms in (losses, expected)
    )
    for name, a, b in zip(params, ours, plain):
        b = torch.zeros_like(params[name]) if b is None else b
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-6, msg=lambda m: f'{name}: {m}')


IBOT_VARIANTS = {
    'as published': ({}, {}, {}),
    'hard labels': ({}, {'patch_target': 'hard'}, {}),
    'no centring': ({}, {'center_patches': False}, {}),
    'hard labels, no centring': ({}, {'patch_target': 'hard', 'center_patches': False}, {}),
    'no class term': ({}, {'cls_weight': 0.0}, {}),
    'separate prototypes': (SEPARATE, {}, {}),
    'vanilla': ({**SEPARATE, 'shared_layers': 0}, {}, {}),
    'shared*': ({**SEPARATE, 'shared_layers': 2}, {}, {}),
    'semi-shared': ({'shared': False, 'shared_layers': 0}, {}, {'shared': True, 'shared_layers': None}),
    'semi-shared*': ({'shared': False, 'shared_layers': 2}, {}, {'shared': True, 'shared_layers': None}),
}


@pytest.mark.parametrize('local_masked', [False, True])
@pytest.mark.parametrize('name', IBOT_VARIANTS)
def test_ibot(name, local_masked):
    head, loss, teacher_head = IBOT_VARIANTS[name]
    model = make_model(head={**HEAD, **head}, loss=loss, tokenizer={'head': teacher_head})
    s = {**SETTINGS, **head, **loss, 'lambda1': loss.get('cls_weight', 1.0)}
    views = prepare(model, make_views(local_masked=local_masked))
    centers = [c.clone() for c in (model.loss_module.center, model.loss_module.center2)]
    shared = head.get('shared', True)
    ours, seen, local = plain_networks(model, views, s, shared, teacher_head.get('shared', shared), views['mask'])
    masks, hidden_local, patches = views['mask'].split(BATCH), None, seen[1].flatten(0, 1)
    if local_masked:
        with torch.no_grad():
            shared_teacher = teacher_head.get('shared', shared)
            seen_local = plain_ibot.network(official(model.tokenizer), views['local'], None, s, shared_teacher)[1]
        hidden_local = local[1], seen_local, views['local_mask'].split(BATCH)
        patches = torch.cat([patches, seen_local.flatten(0, 1)])
    cls, patch = plain_ibot.loss(ours, seen, local[0], masks, centers, TEMPS, s, hidden_local)
    assert_same(model, model.loss(views), {'loss_cls': cls, 'loss_patch': patch})

    model.loss_module.update_centers()
    torch.testing.assert_close(model.loss_module.center, 0.9 * centers[0] + 0.1 * seen[0].mean(0))
    moved = 0.9 * centers[1] + 0.1 * patches.mean(0) if loss.get('center_patches', True) else centers[1]
    torch.testing.assert_close(model.loss_module.center2, moved, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('num_local', [0, 2])
def test_dino_is_the_class_term_alone(num_local):
    model = make_model('DINO')
    views = prepare(model, make_views(num_local, masked=False))
    center, center2 = (c.clone() for c in (model.loss_module.center, model.loss_module.center2))
    ours, seen, local = plain_networks(model, views, SETTINGS)
    crops = [*ours[0].split(BATCH), *(local[0].split(BATCH) if local else [])]
    expected = plain_ibot.class_term(crops, seen[0].split(BATCH), center, TEMPS[0], SETTINGS)
    rows = []
    model.head.mlp[0].register_forward_pre_hook(lambda _, args: rows.append(len(args[0])))
    losses = model.loss(views)
    assert set(losses) == {'loss_cls', 'acc'}
    assert sum(rows) == BATCH * (2 + num_local), 'a patch was projected'
    assert_same(model, losses, {'loss_cls': expected})
    model.loss_module.update_centers()
    torch.testing.assert_close(model.loss_module.center, 0.9 * center + 0.1 * seen[0].mean(0))
    assert torch.equal(model.loss_module.center2, center2)


def dense_term(model, ours, seen, partners, s):
    """Mean over crops of the mean over matched patches; ``partners[crop][patch]`` or -1, in the next crop."""
    total = 0.0
    for i, partner in enumerate(partners):
        other = seen[1][(i + BATCH) % (2 * BATCH)]
        terms = [
            plain_ibot.patch_entropy(ours[1][i][n], other[m], model.loss_module.center2[0, 0], TEMPS[1], s)
            for n, m in enumerate(partner)
            if m >= 0
        ]
        total = total + (sum(terms) / len(terms) if terms else 0.0) / len(partners)
    return total


@pytest.mark.parametrize('head', [{}, {**SEPARATE, 'shared_layers': 1}])
@pytest.mark.parametrize('matching', ['position', 'feature'])
def test_dense_dino(matching, head):
    model = make_model('DenseDINO', matching=matching, head={**HEAD, **head})
    partner = torch.randint(-1, 16, (2, BATCH, 16), generator=torch.Generator().manual_seed(2))
    partner[1, 2] = -1  # these crops do not overlap
    data = make_views(masked=False, **({'match': list(partner)} if matching == 'position' else {}))
    views, s, shared = prepare(model, data), {**SETTINGS, **head}, not head
    ours, seen, local = plain_networks(model, views, s, shared, shared)
    partners = partner.flatten(0, 1)
    if matching == 'feature':
        tokens = [
            F.normalize(network.backbone.forward_tokens(views['global'])[:, 1:], dim=-1)
            for network in (model, model.tokenizer)
        ]
        partners = [
            [int((tokens[1][(i + BATCH) % (2 * BATCH)] @ token).argmax()) for token in tokens[0][i]]
            for i in range(2 * BATCH)
        ]
    crops = [*ours[0].split(BATCH), *local[0].split(BATCH)]
    center2 = model.loss_module.center2.clone()
    expected = {
        'loss_cls': plain_ibot.class_term(crops, seen[0].split(BATCH), model.loss_module.center, TEMPS[0], s),
        'loss_patch': dense_term(model, ours, seen, partners, s),
    }
    assert_same(model, model.loss(views), expected)
    model.loss_module.update_centers()
    torch.testing.assert_close(model.loss_module.center2, 0.9 * center2 + 0.1 * seen[1].mean((0, 1)))


@pytest.mark.parametrize('num_local', [0, 2])
def test_beit_and_dino_share_one_pass_of_masked_crops(num_local):
    model = make_model('BEiTDINO', patch_tokenizer=COLORS, mim_weight=0.5)
    generator = torch.Generator().manual_seed(5)
    small = [torch.randint(0, 256, (BATCH, 3, 16, 16), dtype=torch.uint8, generator=generator) for _ in range(2)]
    views = prepare(model, make_views(num_local, target=small))
    ours, seen, local = plain_networks(model, views, SETTINGS, mask=views['mask'])
    crops = [*ours[0].split(BATCH), *(local[0].split(BATCH) if local else [])]
    tokens = model.backbone.forward_tokens(views['global'], views['mask'])[:, 1:]
    ids = model.patch_tokenizer(torch.cat(small) / 255).patches
    hidden = views['mask']
    scores = model.patch_head.linear(tokens[hidden.flatten(1)])
    expected = {
        'loss_cls': plain_ibot.class_term(crops, seen[0].split(BATCH), model.loss_module.center, TEMPS[0], SETTINGS),
        'loss_mim': 0.5 * F.cross_entropy(scores, ids[hidden]),
    }
    original, count = model.backbone.forward_tokens, []
    model.backbone.forward_tokens = lambda *args: count.append(1) or original(*args)
    losses = model.loss(views)
    assert len(count) == 1 + (num_local > 0)
    assert set(losses) == {'loss_cls', 'loss_mim', 'mim_acc', 'acc'}
    assert_same(model, losses, expected)


class HostReads(TorchDispatchMode):
    """Count what would make the host wait for a device."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.count += name in ('_local_scalar_dense', 'nonzero', 'masked_select', 'is_nonzero', 'equal')
        return func(*args, **(kwargs or {}))


MATCH = [torch.zeros(BATCH, 16, dtype=torch.int64)] * 2
KINDS = {
    'IBOT': ({'loss': {'patch_target': 'hard'}}, {'local_masked': True}),
    'DINO': ({}, {'masked': False}),
    'position': ({'matching': 'position'}, {'masked': False, 'match': MATCH}),
    'feature': ({'matching': 'feature'}, {'masked': False}),
    'BEiTDINO': ({'patch_tokenizer': {**COLORS, 'patch_size': 8}}, {}),
}


@pytest.mark.parametrize('name', KINDS)
def test_a_step_never_reads_from_the_device_and_reaches_every_parameter(name):
    options, data = KINDS[name]
    model = make_model('DenseDINO' if 'matching' in options else name, **options)
    views = prepare(model, make_views(**data))
    with HostReads() as reads:
        with torch.autocast('cpu', dtype=torch.bfloat16):
            losses = model(views, mode='loss')
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        model.update_teacher(0.9)
    assert reads.count == 0
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize(
    ('kind', 'options', 'data', 'message'),
    [
        ('DINO', {'backbone': MASKED}, {}, 'remove mask_token=True from model.backbone'),
        ('DINO', {'head': {**HEAD, 'shared': False}}, {}, 'remove shared=False from model.head'),
        ('DINO', {}, {}, 'remove PredictionMasks from train_pipeline'),
        ('DenseDINO', {'matching': 'place'}, {}, "matching='place' of model is unknown"),
        ('DenseDINO', {'matching': 'feature'}, {}, 'remove PredictionMasks from train_pipeline'),
        ('DenseDINO', {'matching': 'position'}, {'masked': False}, 'add MatchPatches to train_pipeline'),
        ('IBOT', {'loss': {'patch_target': 'argmax'}}, {}, "patch_target='argmax' of model.loss is unknown"),
        ('BEiTDINO', {'patch_tokenizer': BACKBONE}, {}, 'MIMVisionTransformer is not a frozen tokenizer'),
        ('BEiTDINO', {'patch_tokenizer': COLORS}, {'masked': False}, 'The batch has no masks'),
        ('BEiTDINO', {'patch_tokenizer': COLORS}, {}, r'grid of \(8, 8\) targets'),
    ],
)  # fmt: skip
def test_parts_and_views_that_do_not_fit_are_refused(kind, options, data, message):
    with pytest.raises(ConfigError, match=message):
        model = make_model(kind, **options)
        model.loss(prepare(model, make_views(**data)))


def test_dense_dino_needs_two_crops():
    model, data = make_model('DenseDINO', matching='feature'), make_views(masked=False)
    data['inputs']['global'].pop()
    with pytest.raises(ConfigError, match='set global_crops=2'):
        model.loss(prepare(model, data))


@pytest.mark.parametrize('kind', ['DINO', 'BEiTDINO'])
def test_a_training_checkpoint_serves_downstream(kind):
    options = {'patch_tokenizer': COLORS} if kind == 'BEiTDINO' else {}
    model = make_model(kind, **options)
    state = {'state_dict': model.state_dict()}
    assert not any(name.startswith('patch_tokenizer.') for name in state['state_dict'])
    images = torch.rand(2, 3, 32, 32)
    for network in ('teacher', 'student'):
        extractor = FeatureExtractor(BACKBONE, network=network)
        load_pretrained(extractor.backbone, state, part=network, logger=None)
        torch.testing.assert_close(extractor(images), model.extract_feat(images, network))
    other = make_model(kind, **options)
    load_pretrained(other, state, logger=None)
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), state['state_dict'].values()))


class Weighted(MODELS.get('MeanColorTokenizer')):
    """A tokenizer with more weights than the teacher."""

    def __init__(self):
        super().__init__(patch_size=4)
        self.weights = torch.nn.ParameterList(torch.zeros(1) for _ in range(200))


def test_frozen_weights_are_no_missing_teacher():
    model = make_model('BEiTDINO', patch_tokenizer={'type': Weighted})
    before = model.tokenizer.backbone.cls_token.clone()
    assert not model.load_state_dict(model.state_dict(), strict=True).missing_keys
    assert torch.equal(model.tokenizer.backbone.cls_token, before)
    assert set(model._ddp_params_and_buffers_to_ignore) >= {'patch_tokenizer.weights.0', 'patch_tokenizer.weights.199'}
    assert not any(name.startswith('tokenizer') for name in model._ddp_params_and_buffers_to_ignore)


def test_multi_task_starts_from_a_backbone():
    backbone = {f'backbone.{n}': v for n, v in make_model('DINO').backbone.state_dict().items()}
    model = make_model('BEiTDINO', patch_tokenizer=COLORS)
    load_pretrained(model, {'state_dict': backbone}, logger=None)
    assert torch.equal(model.tokenizer.backbone.cls_token, backbone['backbone.cls_token'])


def test_official_dino_files_are_read():
    model = make_model('DINO')
    state = to_official(model.state_dict())
    state['dino_loss'] = {'center': state.pop('ibot_loss')['center']}
    for network in ('student', 'teacher'):
        state[network] = {name: v for name, v in state[network].items() if 'last_layer2' not in name}
    other = make_model('DINO')
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    load_pretrained(other, state, logger=None)
    assert torch.equal(other.loss_module.center, model.loss_module.center)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), model.parameters()))
    state['student'].pop('module.head.last_layer.weight_v')
    with pytest.raises(CheckpointError, match='head.last_layer.weight_v'):
        load_pretrained(other, state, logger=None)
