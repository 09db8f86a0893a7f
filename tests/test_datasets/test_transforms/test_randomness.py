import numpy as np

from mim_plugin.datasets.transforms.randomness import process_rng, sample_rng, uniform_int


def test_samples_draw_from_their_own_streams():
    streams = [sample_rng(seed, epoch, index).random() for seed in (0, 1) for epoch in (0, 1) for index in range(50)]
    assert len(set(streams)) == 200
    assert sample_rng(2**63 - 1, 3, 4).random() == sample_rng(2**63 - 1, 3, 4).random()


def test_a_process_keeps_its_generator():
    assert process_rng() is process_rng()


def test_integers_are_uniform():
    rng = np.random.default_rng(0)
    counts = np.bincount([uniform_int(rng, 5) for _ in range(5000)], minlength=5)
    assert len(counts) == 5 and counts.min() > 880 and counts.max() < 1120
