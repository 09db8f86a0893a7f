"""Patches paired by their features."""

import torch

from mim_plugin.models.losses import match_by_feature


def test_every_patch_finds_itself_in_the_next_crop():
    batch, patches = 2, 5
    teacher = torch.randn(3 * batch, patches, 8)
    order = torch.stack([torch.randperm(patches) for _ in range(3 * batch)])
    # Patch n of a crop is patch order[n] of the next crop, longer and with the sign of no other.
    student = torch.stack([7 * teacher[(i + batch) % (3 * batch)][order[i]] for i in range(3 * batch)])
    found = match_by_feature(student, teacher, batch)
    for i in range(3 * batch):
        assert found[i].tolist() == [((i + batch) % (3 * batch)) * patches + int(n) for n in order[i]]
