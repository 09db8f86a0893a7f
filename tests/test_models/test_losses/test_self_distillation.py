"""The self-distillation loss against the equations written out."""

import torch

from mim_plugin.models.losses import SelfDistillationLoss


def make_loss(**options):
    loss = SelfDistillationLoss(out_dim=7, patch_out_dim=5, teacher_temp=0.05, teacher_patch_temp=0.06, **options)
    torch.manual_seed(1)
    loss.center.normal_()
    loss.center2.normal_()
    return loss


def cross_entropy(teacher, center, teacher_temp, student):
    return -(((teacher - center) / teacher_temp).softmax(-1) * (student / 0.1).log_softmax(-1)).sum(-1)


def test_class_loss_is_the_mean_over_pairs_of_different_views():
    loss, batch, num_global, num_views = make_loss(cls_weight=0.5), 3, 2, 5
    teacher, student = torch.randn(num_global, batch, 7), torch.randn(num_views, batch, 7)
    terms = [
        cross_entropy(teacher[q], loss.center, 0.05, student[v]).mean()
        for q in range(num_global)
        for v in range(num_views)
        if v != q
    ]
    result = loss.class_loss(student.flatten(0, 1), teacher.flatten(0, 1), num_global)
    torch.testing.assert_close(result, 0.5 * torch.stack(terms).mean())


def test_class_loss_of_a_single_view_is_zero():
    loss = make_loss()
    assert loss.class_loss(torch.randn(3, 7), torch.randn(3, 7), num_global=1) == 0


def test_patch_loss_is_a_mean_of_means():
    loss = make_loss(patch_weight=2.0)
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 1]]).bool()
    teacher, student = torch.randn(3, 3, 5), torch.randn(3, 3, 5)
    entropy = cross_entropy(teacher, loss.center2, 0.06, student)
    expected = ((entropy * mask).sum(1) / mask.sum(1).clamp(min=1)).mean() * 2
    weight = (1 / mask.sum(1).clamp(min=1))[:, None].expand_as(mask)[mask]
    torch.testing.assert_close(loss.patch_loss(student[mask], teacher[mask], weight, len(mask)), expected)


def test_hard_targets_are_the_likeliest_centred_prototype():
    teacher, student = torch.randn(6, 5), torch.randn(6, 5)
    for centred in (True, False):
        loss = make_loss(patch_target='hard', center_patches=centred)
        best = (teacher - centred * loss.center2[0]).argmax(1)
        expected = torch.nn.functional.cross_entropy(student / 0.1, best)
        torch.testing.assert_close(loss.patch_loss(student, teacher, torch.ones(6), 6), expected)


def test_without_centring_patches_are_sharpened_alone():
    loss, teacher, student = make_loss(center_patches=False), torch.randn(6, 5), torch.randn(6, 5)
    expected = cross_entropy(teacher, 0.0, 0.06, student).mean()
    torch.testing.assert_close(loss.patch_loss(student, teacher, torch.ones(6), 6), expected)
    before = loss.center2.clone()
    loss.observe(torch.randn(4, 7))
    loss.update_centers()
    assert torch.equal(loss.center2, before)


def test_patch_loss_of_nothing_is_zero_with_zero_gradient():
    loss, student = make_loss(), torch.zeros(4, 5, requires_grad=True)
    result = loss.patch_loss(student[:0], torch.zeros(0, 5), torch.zeros(0), num_images=4)
    result.backward()
    assert result == 0 and torch.equal(student.grad, torch.zeros(4, 5))


def test_centers_move_once_a_step_towards_the_mean_of_what_was_observed():
    loss = make_loss(center_momentum=0.8, patch_center_momentum=0.6)
    before, before2 = loss.center.clone(), loss.center2.clone()
    cls, patch = torch.randn(2, 4, 7), torch.randn(2, 1, 5)  # two batches of one accumulated step
    for part, mean in zip(cls, patch, strict=True):
        loss.observe(part, mean)
    torch.testing.assert_close(loss.center, before)
    loss.update_centers()
    torch.testing.assert_close(loss.center, 0.8 * before + 0.2 * cls.mean((0, 1)))
    torch.testing.assert_close(loss.center2, 0.6 * before2 + 0.4 * patch.mean(0))
    after = loss.center.clone()
    loss.update_centers()  # nothing observed since
    torch.testing.assert_close(loss.center, after)
