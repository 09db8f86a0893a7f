import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from mim_plugin.errors import ConfigError
from mim_plugin.evaluation.knn import knn_accuracy, knn_scores, knn_votes, nearest_neighbors, weighted_votes

GOLDEN = Path(__file__).parents[1] / 'golden'


def random_rows(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('name', ['eval_knn_10classes', 'eval_knn_5classes'])
def test_figures_of_the_published_implementation(name):
    case = json.loads((GOLDEN / name / 'case.json').read_text())
    tensors = load_file(GOLDEN / name / 'tensors.safetensors')
    train, labels, test, answers = (
        tensors[f'inputs/{key}'] for key in ('train_features', 'train_labels', 'test_features', 'test_labels')
    )
    settings = case['settings']
    options = {'temperature': settings['temperature'], 'num_classes': settings['num_classes']}
    figures = knn_accuracy(train, labels, test, answers, settings['k_list'], **options)
    for k in settings['k_list']:
        votes = knn_votes(train, labels, test, k, **options)
        ours = {f'votes_k{k}': votes, f'predicted_k{k}': votes.argmax(1)}
        ours |= {key: torch.tensor([figures[key]]) for key in (f'top1_k{k}', f'top5_k{k}')}
        for key, value in ours.items():
            limits = case['outputs'][f'outputs/{key}']
            expected = tensors[f'outputs/{key}']
            torch.testing.assert_close(value.to(expected.dtype), expected, atol=limits['atol'], rtol=limits['rtol'])


def test_chunks_do_not_change_the_result():
    bank, queries = random_rows(83, 6), random_rows(29, 6, seed=1)
    bank = torch.cat([bank[:40], bank[:43]])  # every row but a few twice: ties across chunks
    whole = nearest_neighbors(bank, queries, 12)
    for sizes in ((1, 1), (7, 5), (29, 82)):
        values, rows = nearest_neighbors(bank, queries, 12, *sizes)
        assert torch.allclose(values, whole[0], atol=1e-6)
        assert torch.equal(values.sort(1, descending=True).values, values)
        assert (rows.sort(1).values[:, 1:] != rows.sort(1).values[:, :-1]).all()


def test_of_equally_similar_rows_the_first_is_taken():
    rows = nearest_neighbors(torch.ones(50, 3), torch.ones(4, 3), 7, chunk_size=3, bank_chunk_size=11)[1]
    assert rows.tolist() == [list(range(7))] * 4


def test_neighbors_agree_with_the_full_table():
    bank, queries = random_rows(200, 8), random_rows(31, 8, seed=1)
    table = F.normalize(queries, dim=1) @ F.normalize(bank, dim=1).T
    values, rows = nearest_neighbors(bank * 3, queries * 0.1, 9, bank_chunk_size=64)
    assert torch.equal(rows, table.argsort(1, descending=True)[:, :9])
    assert torch.allclose(values, table.topk(9, dim=1).values, atol=1e-6)


@pytest.mark.parametrize('num_test', [0, 1, 3, 101])
def test_any_number_of_test_rows(num_test):
    votes = knn_votes(random_rows(20, 4), torch.arange(20) % 3, random_rows(num_test, 4, seed=1), k=5)
    assert votes.shape == (num_test, 3)


def test_a_sharp_temperature_does_not_overflow():
    votes = weighted_votes(torch.ones(1, 2), torch.tensor([[0, 1]]), temperature=0.005, num_classes=2)
    assert votes.isfinite().all()


@pytest.mark.parametrize(
    ('num_classes', 'keys'),
    [(2, {'top1_k3', 'auc_k3'}), (4, {'top1_k3'}), (5, {'top1_k3', 'top5_k3'})],
)
def test_figures_depend_on_the_number_of_classes(num_classes, keys):
    labels = torch.arange(20) % num_classes
    figures = knn_accuracy(random_rows(20, 4), labels, random_rows(20, 4), labels, k=[3], num_classes=num_classes)
    assert set(figures) == keys


def test_auc_is_that_of_the_share_of_positive_votes():
    similarities = torch.tensor([[1.0, 0.5], [1.0, 0.5], [1.0, 0.5], [1.0, 0.5]])
    neighbors = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0]])
    figures = knn_scores(similarities, neighbors, torch.tensor([1, 0, 1, 0]), [2], 0.07, 2)
    assert figures == {'top1_k2': 50.0, 'auc_k2': 75.0}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'k': [5, 21]}, 'k=21 asks for more neighbours than the bank of 20'),
        ({'k': []}, 'at least one'),
        ({'k': [0]}, '1 or more'),
        ({'k': [5], 'temperature': 0.0}, 'temperature=0.0'),
    ],
)
def test_options_that_cannot_work_are_named(options, message):
    rows, labels = random_rows(20, 4), torch.arange(20) % 2
    with pytest.raises(ConfigError, match=message):
        knn_accuracy(rows, labels, rows, labels, **options)
