import os
import sys

import pytest
import torch
from mmengine.config import Config
from torch._utils import ExceptionWrapper

from mim_plugin.apis import run
from mim_plugin.apis.run import find_last_checkpoint, prepare_config, run_tool
from mim_plugin.errors import CheckpointError, ConfigError, DataError


def tiny(**entries) -> Config:
    cfg = dict(
        default_scope='mim_plugin',
        model=dict(type='IBOT', backbone=dict(type='MIMVisionTransformer')),
        train_dataloader=dict(batch_size=4),
        train_cfg=dict(type='ResumableEpochLoop', max_epochs=1),
        optim_wrapper=dict(type='MIMOptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
        custom_hooks=[dict(type='FrozenFeatureHook'), dict(type='mim_plugin.MomentumTeacherHook')],
        val_cfg=dict(type='ValLoop'),
        auto_scale_lr=dict(base_batch_size=256),
    )
    return Config({**cfg, **entries}, cfg_text='tiny', filename='configs/tiny.py')


def without_gpu(monkeypatch) -> None:
    monkeypatch.setattr(run, 'get_device', lambda: 'cpu')


def with_gpu(monkeypatch, bf16: bool = True) -> None:
    monkeypatch.setattr(run, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: bf16)


def test_work_dir_of_argument_then_config_then_name():
    assert prepare_config(tiny(), work_dir='a').work_dir == 'a'
    assert prepare_config(tiny(work_dir='b')).work_dir == 'b'
    assert prepare_config(tiny()).work_dir == os.path.join('work_dirs', 'tiny')


def test_config_given_as_object_is_not_changed():
    cfg = tiny()
    prepare_config(cfg, amp=True, validate=False, auto_scale_lr=True)
    assert cfg.to_dict() == tiny().to_dict()


def test_overrides_reach_nested_keys_and_lists():
    cfg = prepare_config(tiny(), cfg_options={'optim_wrapper.optimizer.lr': 0.5, 'custom_hooks.1.momentum': 0.9})
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    assert cfg.custom_hooks[1].momentum == 0.9


def test_override_that_cannot_be_applied_is_explained():
    with pytest.raises(ConfigError, match='--cfg-options custom_hooks.7.momentum'):
        prepare_config(tiny(), cfg_options={'custom_hooks.7.momentum': 0.9})


def test_amp_without_gpu_is_bfloat16(monkeypatch):
    without_gpu(monkeypatch)
    wrapper = prepare_config(tiny(), amp=True).optim_wrapper
    assert (wrapper.type, wrapper.dtype) == ('mim_plugin.MIMAmpOptimWrapper', 'bfloat16')
    mmseg_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='AdamW', lr=1))
    wrapper = prepare_config(tiny(optim_wrapper=mmseg_wrapper), amp=True).optim_wrapper
    assert (wrapper.type, wrapper.dtype) == ('mim_plugin.MIMAmpOptimWrapper', 'bfloat16')
    assert 'loss_scale' not in wrapper


@pytest.mark.parametrize(('bf16', 'dtype'), [(True, 'bfloat16'), (False, 'float16')])
def test_amp_with_gpu(monkeypatch, bf16, dtype):
    with_gpu(monkeypatch, bf16)
    wrapper = prepare_config(tiny(), amp=True).optim_wrapper
    assert (wrapper.type, wrapper.dtype) == ('mim_plugin.MIMAmpOptimWrapper', dtype)
    plain = tiny(optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1)))
    assert prepare_config(plain, amp=True).optim_wrapper.type == 'AmpOptimWrapper'


def test_amp_of_a_config_in_half_precision_keeps_its_dtype(monkeypatch):
    with_gpu(monkeypatch)
    wrapper = dict(type='MIMAmpOptimWrapper', dtype='float16', optimizer=dict(type='AdamW', lr=1))
    assert prepare_config(tiny(optim_wrapper=wrapper), amp=True).optim_wrapper.dtype == 'float16'


def test_amp_of_an_unknown_wrapper_is_refused():
    with pytest.raises(ConfigError, match='DeepSpeedOptimWrapper'):
        prepare_config(tiny(optim_wrapper=dict(type='DeepSpeedOptimWrapper')), amp=True)


@pytest.mark.parametrize(
    ('wrapper', 'expected'),
    [
        (dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16'), 'OptimWrapper'),
        (dict(type='mim_plugin.MIMAmpOptimWrapper', dtype='float16'), 'mim_plugin.MIMOptimWrapper'),
        (dict(type='MIMAmpOptimWrapper', dtype='bfloat16'), 'MIMAmpOptimWrapper'),
        (dict(type='MIMAmpOptimWrapper'), 'MIMAmpOptimWrapper'),
    ],
)
def test_without_gpu_float16_becomes_float32(monkeypatch, wrapper, expected):
    without_gpu(monkeypatch)
    found = prepare_config(tiny(optim_wrapper=wrapper)).optim_wrapper
    assert found.type == expected
    assert 'loss_scale' not in found


def test_without_gpu_processes_use_the_wrapper_for_it(monkeypatch):
    without_gpu(monkeypatch)
    cfg = prepare_config(tiny(find_unused_parameters=True), launcher='pytorch')
    assert cfg.model_wrapper_cfg == dict(
        type='mim_plugin.CPUDistributedDataParallel', broadcast_buffers=False, find_unused_parameters=True
    )
    assert 'model_wrapper_cfg' not in prepare_config(tiny())


def test_without_gpu_other_launchers_are_refused(monkeypatch):
    without_gpu(monkeypatch)
    with pytest.raises(ConfigError, match='tools/dist_train.sh'):
        prepare_config(tiny(), launcher='slurm')


def test_lr_scaling_needs_the_batch_of_the_config():
    assert prepare_config(tiny(), auto_scale_lr=True).auto_scale_lr.enable
    with pytest.raises(ConfigError, match='base_batch_size'):
        prepare_config(tiny(auto_scale_lr=None), auto_scale_lr=True)


def test_no_validation():
    cfg = prepare_config(tiny(), validate=False)
    assert cfg.val_cfg is None
    assert [hook.type for hook in cfg.custom_hooks] == ['mim_plugin.MomentumTeacherHook']


def test_resume_with_nothing_to_resume_names_the_remedy(tmp_path):
    with pytest.raises(CheckpointError, match='leave --resume out to start anew'):
        prepare_config(tiny(), work_dir=str(tmp_path), resume='auto')
    with pytest.raises(CheckpointError, match='there is no such file'):
        prepare_config(tiny(), work_dir=str(tmp_path), resume=str(tmp_path / 'epoch_1.pth'))


def test_resume_finds_the_noted_checkpoint(tmp_path):
    (tmp_path / 'epoch_3.pth').touch()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_3.pth'))
    cfg = prepare_config(tiny(), work_dir=str(tmp_path), resume='auto')
    assert cfg.resume is True
    assert cfg.load_from == str(tmp_path / 'epoch_3.pth')


def test_last_checkpoint_of_a_moved_folder_and_without_a_note(tmp_path):
    assert find_last_checkpoint(tmp_path) is None
    for age, name in enumerate(['interrupted_iter_7.pth', 'epoch_2.pth', 'epoch_10.pth', 'best_knn_epoch_9.pth']):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    assert find_last_checkpoint(tmp_path) == str(tmp_path / 'interrupted_iter_7.pth')
    (tmp_path / 'last_checkpoint').write_text('/gone/work_dir/epoch_10.pth')
    assert find_last_checkpoint(tmp_path) == str(tmp_path / 'epoch_10.pth')


def test_load_from_becomes_a_strict_start_of_our_algorithm(tmp_path):
    cfg = prepare_config(tiny(load_from='official.pth'))
    assert cfg.load_from is None
    assert cfg.model.init_cfg == dict(type='Pretrained', checkpoint='official.pth')
    of_another_package = tiny(load_from='segmenter.pth', model=dict(type='EncoderDecoder'))
    assert prepare_config(of_another_package).load_from == 'segmenter.pth'
    (tmp_path / 'epoch_1.pth').touch()
    cfg = prepare_config(tiny(load_from='official.pth'), work_dir=str(tmp_path), resume='auto')
    assert 'init_cfg' not in cfg.model


def test_training_and_testing_need_their_entries():
    with pytest.raises(ConfigError, match='has no train_dataloader, train_cfg; is it a config for test.py'):
        run.train(tiny(train_dataloader=None, train_cfg=None))
    with pytest.raises(ConfigError, match='has no test_dataloader, test_cfg, test_evaluator; configs/evaluation'):
        run.test(tiny())
    complete = tiny(test_dataloader=dict(dataset=dict()), test_cfg=dict(), test_evaluator=dict())
    complete.test_cfg.type = complete.test_evaluator.type = 'x'
    with pytest.raises(CheckpointError, match='There is no checkpoint gone.pth'):
        run.test(complete, 'gone.pth')


def test_tool_prints_a_mendable_error_as_one_line(capsys, monkeypatch):
    def fail():
        raise ConfigError('the key is wrong; mend it.')

    assert run_tool(lambda: None) == 0
    assert run_tool(fail) == 2
    assert capsys.readouterr().err == 'error: the key is wrong; mend it.\n'
    monkeypatch.setenv('RANK', '3')
    assert run_tool(fail) == 2
    assert capsys.readouterr().err == 'error (process 3): the key is wrong; mend it.\n'


def test_tool_prints_an_error_of_a_loader_process_as_one_line(capsys):
    def fail_in_loader():
        try:
            raise DataError('photos is empty; give another folder.')
        except DataError:
            wrapped = ExceptionWrapper(sys.exc_info(), 'in DataLoader worker process 0')
        wrapped.reraise()

    assert run_tool(fail_in_loader) == 2
    assert capsys.readouterr().err == 'error: photos is empty; give another folder.\n'


def test_tool_does_not_hide_other_errors():
    with pytest.raises(ZeroDivisionError):
        run_tool(lambda: 1 / 0)


def test_tool_reports_ctrl_c():
    def stop():
        raise KeyboardInterrupt

    assert run_tool(stop) == 130


def test_data_root_moves_every_path_that_was_built_with_it():
    cfg = tiny(
        data_root='data/coco/',
        train_dataloader=dict(dataset=dict(data_root='data/coco/', ann_file='annotations/a.json')),
        val_evaluator=[dict(type='CocoMetric', ann_file='data/coco/annotations/b.json')],
        other='data/coco2/',
    )
    for root in ('/big/coco', '/big/coco/', 'data/coco/mini'):
        moved = prepare_config(cfg, cfg_options={'data_root': root, 'optim_wrapper.optimizer.lr': 0.5})
        root = root.rstrip('/')
        assert moved.data_root == moved.train_dataloader.dataset.data_root == f'{root}/'
        assert moved.val_evaluator[0].ann_file == f'{root}/annotations/b.json'
        assert moved.train_dataloader.dataset.ann_file == 'annotations/a.json'
        assert moved.other == 'data/coco2/' and moved.optim_wrapper.optimizer.lr == 0.5


def test_data_root_that_would_change_nothing_is_refused():
    with pytest.raises(ConfigError, match='has no data_root, so data_root=/big would change nothing'):
        prepare_config(tiny(), cfg_options={'data_root': '/big'})
