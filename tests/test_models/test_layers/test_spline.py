import pytest
import torch
from scipy.interpolate import RectBivariateSpline, make_interp_spline

from mim_plugin.models.layers.spline import spline_matrix


@pytest.mark.parametrize('count', [1, 2, 3, 4, 5, 7, 13, 63])
def test_splines_are_those_of_scipy(count):
    generator = torch.Generator().manual_seed(count)
    points = (0.2 + torch.rand(count, dtype=torch.float64, generator=generator)).cumsum(0)
    values = torch.randn(count, 2, dtype=torch.float64, generator=generator)
    targets = torch.linspace(points[0].item() - 1, points[-1].item() + 1, 40, dtype=torch.float64)
    ours = spline_matrix(points, targets) @ values
    if count == 1:
        assert torch.equal(ours, values.expand(40, 2))
        return
    inside = targets.clamp(points[0], points[-1])
    reference = torch.from_numpy(make_interp_spline(points, values, k=min(3, count - 1))(inside))
    torch.testing.assert_close(ours, reference, atol=1e-10, rtol=1e-10)


def test_one_matrix_an_axis_is_the_spline_of_a_surface():
    generator = torch.Generator().manual_seed(0)
    rows, columns = (torch.rand(n, dtype=torch.float64, generator=generator).cumsum(0) for n in (6, 9))
    values = torch.randn(6, 9, dtype=torch.float64, generator=generator)
    y, x = rows[0] + (rows[-1] - rows[0]) * torch.rand(5), torch.linspace(columns[0], columns[-1], 7).double()
    surface = RectBivariateSpline(rows, columns, values, kx=3, ky=3, s=0)
    reference = torch.from_numpy(surface(y.sort().values, x.sort().values))
    ours = spline_matrix(rows, y.sort().values) @ values @ spline_matrix(columns, x.sort().values).t()
    torch.testing.assert_close(ours, reference, atol=1e-9, rtol=1e-9)


def test_values_at_the_points_are_kept():
    points = torch.tensor([-3.0, -1, 0, 0.5, 4], dtype=torch.float64)
    torch.testing.assert_close(spline_matrix(points, points), torch.eye(5, dtype=torch.float64))
