"""The prototypes of a trained network as codes."""

import pytest
import torch

from mim_plugin.errors import CheckpointError, ConfigError
from mim_plugin.registry import MODELS
from tests.test_checkpoints.tiny import BACKBONE, make_ibot, official_file

HEAD = dict(out_dim=16, hidden_dim=20, bottleneck_dim=8)


def build(checkpoint=None, head=None, **options):
    config = dict(type='DINOTokenizer', encoder=BACKBONE, head=head or HEAD, checkpoint=checkpoint, **options)
    return MODELS.build(config).freeze()


def expected_ids(model, part, images):
    backbone, head = (model, model) if part == 'student' else (model.tokenizer, model.tokenizer)
    normalised = (images * 255 - model.data_preprocessor.mean) / model.data_preprocessor.std
    with torch.no_grad():
        scores = head.head.eval()(backbone.backbone.eval().forward_tokens(normalised))[1]
    return scores.argmax(-1).unflatten(1, (4, 6))


@pytest.mark.parametrize('part', ['teacher', 'student'])
@pytest.mark.parametrize('official', [True, False])
@pytest.mark.parametrize('shared', [True, False])
def test_codes_are_the_best_prototypes_of_the_network(tmp_path, part, official, shared):
    head = dict(HEAD, shared=shared) if shared else dict(HEAD, shared=False, patch_out_dim=12)
    model, path = make_ibot(head=head), tmp_path / 'full.pth'
    if official:
        official_file(model, path)
    else:
        torch.save({'state_dict': model.state_dict()}, path)
    tokenizer = build(str(path), head, part=part)
    tokenizer.init_weights()
    images = torch.rand(2, 3, 32, 48)
    assert tokenizer.vocabulary_size == (16 if shared else 12)
    assert tokenizer.grid_size((32, 48)) == (4, 6)
    assert tokenizer(images).patches.equal(expected_ids(model, part, images))


def test_a_head_without_bottleneck():
    head = dict(out_dim=16, hidden_dim=20, bottleneck_dim=0)
    tokenizer = build(head=head)
    assert tokenizer(torch.rand(1, 3, 32, 32)).patches.shape == (1, 4, 4)


def test_it_is_not_taken_for_an_online_tokenizer():
    assert not hasattr(build(), 'backbone')


def test_files_that_cannot_serve_are_refused(tmp_path):
    model = make_ibot()
    torch.save(model.backbone.state_dict(), tmp_path / 'backbone.pth')
    beit = {f'backbone.{name}': value for name, value in model.backbone.state_dict().items()}
    torch.save({'state_dict': beit | {'head.linear.weight': torch.zeros(4, 24)}}, tmp_path / 'beit.pth')
    with pytest.raises(CheckpointError, match=r'beit\.pth has no projection head'):
        build(checkpoint=str(tmp_path / 'beit.pth')).init_weights()
    with pytest.raises(CheckpointError, match=r'backbone\.pth has no projection head'):
        build(str(tmp_path / 'backbone.pth')).init_weights()
    official_file(model, tmp_path / 'full.pth')
    with pytest.raises(CheckpointError, match=r'full\.pth.*shapes differ'):
        build(str(tmp_path / 'full.pth'), dict(HEAD, out_dim=17)).init_weights()
    with pytest.raises(ConfigError, match='DINOTokenizer cannot cut images'):
        build()(torch.rand(1, 3, 30, 32))
