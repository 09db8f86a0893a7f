import pytest
import torch

from mim_plugin.models.layers.pos_embed import RESIZE_RULES, _axis_matrix
from mim_plugin.models.layers.symbolic_resize import symbolic_axis_matrices

CPU = torch.device('cpu')
GRIDS = [((14, 14), (6, 33)), ((3, 2), (4, 2)), ((1, 5), (3, 4)), ((4, 4), (1, 2))]


@pytest.mark.parametrize('rule', RESIZE_RULES)
@pytest.mark.parametrize('sources, targets', GRIDS)
def test_closed_form_is_the_resize_of_torch(rule, sources, targets):
    for ours, source, target in zip(symbolic_axis_matrices(sources, targets, rule, CPU), sources, targets):
        torch.testing.assert_close(ours, _axis_matrix(source, target, rule, CPU), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize('rule', RESIZE_RULES)
def test_the_same_grid_is_kept_exactly(rule):
    for ours, size in zip(symbolic_axis_matrices((14, 9), (14, 9), rule, CPU), (14, 9)):
        assert torch.equal(ours, torch.eye(size))
