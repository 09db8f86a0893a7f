"""Golden: beit_finetune. Here: targets, predictions, what is refused, and BEiT's missing bias of keys."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement

from mim_plugin.checkpoints.formats import beit
from mim_plugin.engine.optim import LayerDecayOptimWrapperConstructor
from mim_plugin.errors import ConfigError
from mim_plugin.registry import MODELS

ARCH = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)
IMAGES = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)


def classifier(backbone=(), **changes):
    vit = dict(type='MIMVisionTransformer', arch=ARCH, img_size=32, patch_size=8, **dict(backbone))
    return MODELS.build(dict(type='MIMClassifier', backbone=vit, num_classes=4, init_scale=1.0) | changes)


def samples(**fields):
    made = [BaseDataElement() for _ in IMAGES]
    for name, values in fields.items():
        for sample, value in zip(made, values):
            setattr(sample, name, value)
    return made


def run(model, data_samples, mode='loss'):
    data = model.data_preprocessor({'inputs': IMAGES, 'data_samples': data_samples}, True)
    return model(data['inputs'], data['data_samples'], mode=mode)


def test_labels_with_smoothing():
    model = classifier(label_smoothing=0.2)
    labels = torch.tensor([0, 3, 1])
    losses = run(model, samples(gt_label=labels))
    log_p = run(model, None, 'tensor').log_softmax(-1)
    expected = 0.8 * F.nll_loss(log_p, labels) - 0.2 * log_p.mean()
    assert losses['loss'].item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses['acc_top1'].item() == pytest.approx((log_p.argmax(1) == labels).float().mean().item() * 100)
    boxed = run(model, samples(gt_label=labels[:, None]))  # as mmpretrain's samples hold them
    assert boxed['loss'].equal(losses['loss'])


def test_soft_targets_are_not_smoothed_again():
    model = classifier(label_smoothing=0.2)
    targets = torch.rand(3, 4).softmax(-1)
    losses = run(model, samples(gt_score=targets))
    log_p = run(model, None, 'tensor').log_softmax(-1)
    assert losses['loss'].item() == pytest.approx(-(targets * log_p).sum(1).mean().item(), rel=1e-5)


def test_predictions_are_added_to_the_samples():
    model = classifier().eval()
    seen = run(model, samples(gt_label=torch.zeros(3)), 'predict')
    scores = run(model, None, 'tensor').softmax(-1)
    for sample, score in zip(seen, scores):
        assert sample.pred_score.allclose(score) and sample.pred_label == score.argmax() and sample.gt_label == 0


@pytest.mark.parametrize('mean_pooling', [True, False])
def test_what_the_layer_reads(mean_pooling):
    model = classifier(dict(mean_pooling=mean_pooling)).eval()
    images = model.data_preprocessor({'inputs': IMAGES})['inputs']
    tokens = model.backbone.intermediate_tokens(images, 1, norm=False)[0]
    vit = model.backbone
    expected = vit.ln2(tokens[:, 1:].mean(1)) if mean_pooling else vit.ln1(tokens[:, 0])
    assert model.extract_feat(images).allclose(expected, atol=1e-6)


def test_what_is_refused():
    with pytest.raises(ConfigError, match='num_classes=0'):
        classifier(num_classes=0)
    with pytest.raises(ConfigError, match='label_smoothing=1'):
        classifier(label_smoothing=1)
    with pytest.raises(ConfigError, match='images without labels; let the pipeline end in PackImage'):
        run(classifier(), samples(other=IMAGES))


def test_keys_stay_without_bias_through_fine_tuning():
    options = dict(qkv_bias='qv', mean_pooling=True, init='beit_finetune', relative_bias='per_block')
    model = classifier(options).train()
    config = {'optimizer': {'type': 'AdamW', 'lr': 0.01, 'weight_decay': 0.05}}
    wrapper = LayerDecayOptimWrapperConstructor(config, {'layer_decay_rate': 0.65})(model)
    for _ in range(3):
        model.train_step({'inputs': IMAGES, 'data_samples': samples(gt_label=torch.tensor([0, 1, 2]))}, wrapper)
    for block in model.backbone.layers:
        query, key, value = block.attn._project(torch.zeros(1, 2, 24))
        assert not key.any() and query.any() and value.any()
    names = beit.to_official(model.state_dict())['model']
    biases = {name.rsplit('.', 1)[1] for name in names if '.attn.' in name and name.endswith('_bias')}
    assert not any(name.endswith('qkv.bias') for name in names)
    assert biases == {'q_bias', 'v_bias'}
