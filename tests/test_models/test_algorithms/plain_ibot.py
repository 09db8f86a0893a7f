"""Pretraining with iBOT written down without any of the package's parts: slow, and easy to read.

Networks are dicts of tensors under the published names. Settings are those of a golden case.
"""

import math

import torch
import torch.nn.functional as F


def backbone(p, images, mask, s):
    """All tokens after the final norm."""
    size, dim, heads = s['patch_size'], s['embed_dim'], s['num_heads']
    x = F.conv2d(images, p['patch_embed.proj.weight'], p['patch_embed.proj.bias'], stride=size)
    rows, cols = x.shape[2:]
    x = x.flatten(2).transpose(1, 2)
    if mask is not None:
        x = torch.where(mask.flatten(1)[..., None], p['masked_embed'], x)
    positions, side = p['pos_embed'], s['img_size'] // size
    if (rows, cols) != (side, side):
        grid = positions[:, 1:].reshape(1, side, side, dim).permute(0, 3, 1, 2)
        factor = ((rows + 0.1) / side, (cols + 0.1) / side)
        grid = F.interpolate(grid, scale_factor=factor, mode='bicubic')
        positions = torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], 1)
    x = torch.cat([p['cls_token'].expand(len(x), 1, dim), x], 1) + positions

    def norm(name, x):
        return F.layer_norm(x, (dim,), p[f'{name}.weight'], p[f'{name}.bias'], s['norm_eps'])

    def linear(name, x):
        return F.linear(x, p[f'{name}.weight'], p.get(f'{name}.bias'))

    for i in range(s['depth']):
        b = f'blocks.{i}'
        q, k, v = (
            linear(f'{b}.attn.qkv', norm(f'{b}.norm1', x)).reshape(*x.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
        )
        weights = (q @ k.transpose(-2, -1) / math.sqrt(dim // heads)).softmax(-1)
        x = x + linear(f'{b}.attn.proj', (weights @ v).transpose(1, 2).flatten(2)) * p.get(f'{b}.gamma_1', 1)
        hidden = F.gelu(linear(f'{b}.mlp.fc1', norm(f'{b}.norm2', x)))
        x = x + linear(f'{b}.mlp.fc2', hidden) * p.get(f'{b}.gamma_2', 1)
    if s.get('use_mean_pooling'):
        return torch.cat([norm('fc_norm', x[:, 1:].mean(1, keepdim=True)), x[:, 1:]], 1)
    return norm('norm', x)


def head(p, tokens, s, shared):
    """Scores of [CLS] and of patches. Running statistics in ``p`` move with every call."""
    if 'patch_mlp.0.weight' in p:
        return separate_head(p, tokens, s)
    act = {'gelu': F.gelu, 'relu': F.relu}[s['act_in_head']]
    layers, x, kind = s['head_nlayers'], tokens.flatten(0, 1), s['norm_in_head']
    step = 3 if kind else 2
    last = 'mlp' if layers == 1 else f'mlp.{step * (layers - 1)}'
    for i in range(layers - 1):
        x = F.linear(x, p[f'mlp.{step * i}.weight'], p[f'mlp.{step * i}.bias'])
        if kind == 'ln':
            x = F.layer_norm(x, x.shape[-1:], p['mlp.1.weight'], p['mlp.1.bias'])
        elif kind == 'bn':
            x = F.batch_norm(
                x, p['mlp.1.running_mean'], p['mlp.1.running_var'], p['mlp.1.weight'], p['mlp.1.bias'], True
            )
        x = act(x)
    if s['head_bottleneck_dim'] == 0:
        names = last, last if shared else 'mlp2'
        cls, patch = (F.linear(x, p[f'{name}.weight'], p[f'{name}.bias']) for name in names)
    else:
        x = F.normalize(F.linear(x, p[f'{last}.weight'], p[f'{last}.bias']), dim=-1)
        names = 'last_layer', 'last_layer' if shared else 'last_layer2'
        cls, patch = (F.linear(x, p[f'{name}.weight_g'] * F.normalize(p[f'{name}.weight_v'], dim=1)) for name in names)
    return cls.unflatten(0, tokens.shape[:2])[:, 0], patch.unflatten(0, tokens.shape[:2])[:, 1:]


def separate_head(p, tokens, s):
    """The same for a head whose patches have an MLP of their own from layer ``s['shared_layers']`` on."""
    layers, split = s['head_nlayers'], s['shared_layers']
    names = [f'mlp.{2 * i}' for i in range(layers)]
    own = names[:split] + [f'patch_mlp.{2 * i}' for i in range(layers - split)]

    def scores(x, names, last):
        for i, name in enumerate(names):
            x = F.linear(F.gelu(x) if i else x, p[f'{name}.weight'], p[f'{name}.bias'])
        return F.linear(F.normalize(x, dim=-1), p[f'{last}.weight_g'] * F.normalize(p[f'{last}.weight_v'], dim=1))

    return scores(tokens[:, 0], names, 'last_layer'), scores(tokens[:, 1:], own, 'last_layer2')


def network(p, images, mask, s, shared):
    parts = [{n.removeprefix(part): v for n, v in p.items() if n.startswith(part)} for part in ('backbone.', 'head.')]
    return head(parts[1], backbone(parts[0], images, mask, s), s, shared)


def patch_entropy(student, teacher, center, temp, s):
    """Cross-entropy of every patch of a crop."""
    scores = teacher - center if s.get('center_patches', True) else teacher
    target = (scores / temp).softmax(-1)
    if s.get('patch_target') == 'hard':
        target = F.one_hot(scores.argmax(-1), scores.shape[-1])
    return -(target * (student / s['student_temp']).log_softmax(-1)).sum(-1)


def class_term(views, teacher, center, temp, s):
    """Mean over the pairs of a global crop and another crop; ``teacher`` and ``views`` are lists."""
    terms = []
    for q, scores in enumerate(teacher):
        target = ((scores - center) / temp).softmax(-1)
        for v, view in enumerate(views):
            if v != q:
                terms.append(-(target * (view / s['student_temp']).log_softmax(-1)).sum(-1).mean())
    return sum(terms) / len(terms)


def loss(student, teacher, local_cls, masks, centers, temps, s, local=None):
    """Class and patch term, by the sums of the paper.

    ``local``: of local crops with hidden patches the patch scores of both networks and the masks.
    """
    batch = len(teacher[0]) // s['n_global']
    views = [*student[0].split(batch), *(local_cls.split(batch) if local_cls is not None else [])]
    cls = class_term(views, teacher[0].split(batch), centers[0], temps[0], s)
    crops = [*zip(student[1], teacher[1], torch.cat(masks))]
    if local:
        crops += zip(local[0], local[1], torch.cat(local[2]))
    patch = 0.0
    for ours, theirs, mask in crops:
        entropy, hidden = patch_entropy(ours, theirs, centers[1][0], temps[1], s), mask.flatten()
        patch = patch + (entropy * hidden).sum() / max(1, int(hidden.sum())) / len(crops)
    return s['lambda1'] * cls, s['lambda2'] * patch


class Optimizer:
    def __init__(self, s):
        self.s, self.state = s, {}

    def step(self, name, p, g, lr, decay):
        s, state = self.s, self.state.setdefault(name, {'m': torch.zeros_like(p), 'v': torch.zeros_like(p), 't': 0})
        if s['optimizer'] == 'adamw':
            (b1, b2), state['t'] = s['adamw_betas'], state['t'] + 1
            p.mul_(1 - lr * decay)
            state['m'].mul_(b1).add_(g * (1 - b1))
            state['v'].mul_(b2).add_(g * g * (1 - b2))
            m, v = state['m'] / (1 - b1 ** state['t']), state['v'] / (1 - b2 ** state['t'])
            p.sub_(lr * m / (v.sqrt() + s['adamw_eps']))
            return
        if s['optimizer'] == 'lars' and p.ndim > 1:
            g = g + decay * p
            norms = p.norm(), g.norm()
            g = g * (0.001 * norms[0] / norms[1] if min(norms) > 0 else 1)
        elif s['optimizer'] == 'sgd':
            g = g + decay * p
        state['m'].mul_(0.9).add_(g)
        p.sub_(lr * state['m'])


def schedule(start, end, index, total, warmup=0):
    if index < warmup:
        return start * index / (warmup - 1)
    return end + (start - end) * (1 + math.cos(math.pi * (index - warmup) / (total - warmup))) / 2


def temperature(first, last, epoch, ramp, start):
    if epoch < start:
        return first
    return last if epoch - start >= ramp else first + (last - first) * (epoch - start) / max(1, ramp - 1)


def train(student, teacher, centers, batches, s):
    """Run the steps in place; returns what each of them logs.

    Args:
        student: Parameters and buffers, ``backbone.*`` and ``head.*``.
        teacher: The same.
        centers: Two tensors.
        batches: Tuples of global crops, local crops and masks (lists).
        s: Settings.
    """
    optimizer, logged = Optimizer(s), []
    frozen = ('running_mean', 'running_var', 'num_batches_tracked')
    trained = [n for n in student if not n.endswith(frozen)]
    if s['norm_last_layer']:
        trained = [n for n in trained if not n.endswith('weight_g')]
    total = s['epochs'] * s['niter_per_epoch']
    temps = [
        temperature(s[f'warmup_{n}'], s[n], s['epoch'], s['warmup_teacher_temp_epochs'], start)
        for n, start in (('teacher_temp', 0), ('teacher_patch_temp', s['pred_start_epoch']))
    ]
    for step, (crops, local, masks) in enumerate(batches):
        index = s['epoch'] * s['niter_per_epoch'] + step
        lr = schedule(s['base_lr'] * s['total_batch_size'] / 256, s['min_lr'], index, total,
                      s['warmup_epochs'] * s['niter_per_epoch'])  # fmt: skip
        decay = schedule(s['weight_decay'], s['weight_decay_end'], index, total)
        momentum = schedule(s['momentum_teacher'], 1.0, index, total)
        leaves = {n: student[n].clone().requires_grad_() for n in trained}
        live = {**student, **leaves}
        images = torch.cat(crops)
        with torch.no_grad():
            t = network(teacher, images, None, s, s['shared_head_teacher'])
        hidden = torch.cat(masks) if s['use_masked_im_modeling'] else None
        out = network(live, images, hidden, s, s['shared_head'])
        local_cls = network(live, torch.cat(local), None, s, s['shared_head'])[0] if local else None
        cls, patch = loss(out, t, local_cls, masks, centers, temps, s)
        grads = torch.autograd.grad(cls + patch, list(leaves.values()), allow_unused=True, materialize_grads=True)
        centers[0].mul_(s['center_momentum']).add_((1 - s['center_momentum']) * t[0].mean(0))
        centers[1].mul_(s['center_momentum2']).add_((1 - s['center_momentum2']) * t[1].mean((0, 1)))
        for name, grad in zip(leaves, grads):
            norm, clip = grad.norm(), s['clip_grad']
            if clip and clip / (norm + 1e-6) < 1:
                grad = grad * clip / (norm + 1e-6)
            if s['epoch'] < s['freeze_last_layer'] and 'last_layer' in name:
                continue
            decayed = not name.endswith('.bias') and grad.ndim > 1
            optimizer.step(name, student[name], grad, lr, decay if decayed else 0.0)
        for name in teacher:
            if name in student and not name.endswith(frozen):
                teacher[name].mul_(momentum).add_((1 - momentum) * student[name])
        logged.append(
            {'cls': cls.item(), 'patch': patch.item(), 'center': centers[0].clone(), 'center2': centers[1].clone()}
        )
    return logged
