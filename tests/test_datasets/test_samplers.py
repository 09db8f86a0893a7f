from mim_plugin.datasets import ResumableSampler


def test_the_rest_of_an_epoch_then_whole_ones():
    sampler = ResumableSampler(range(10), seed=4)
    sampler.set_epoch(2)
    whole = list(sampler)
    sampler.skip(6)
    assert list(sampler) == whole[6:] and len(sampler) == 10
    assert list(sampler) == whole and sorted(whole) == list(range(10))


def test_nothing_left():
    sampler = ResumableSampler(range(10), shuffle=False)
    sampler.skip(10)
    assert list(sampler) == []
    assert list(sampler) == list(range(10))
