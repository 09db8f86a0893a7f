"""The doctor's table, from the real environment and from imagined ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from mim_plugin.apis import doctor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(monkeypatch):
    """Pretend that exactly these distributions are installed and that these modules fail to import."""

    def pretend(versions, errors=()):
        monkeypatch.setattr(doctor, '_version', versions.get)
        monkeypatch.setattr(doctor, '_import', dict(errors).get)

    return pretend


def test_tool_runs_without_site_packages():
    """Nothing but the standard library: every package is missing, and the doctor still answers."""
    command = [sys.executable, '-S', '-E', str(ROOT / 'tools' / 'doctor.py')]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert 'BROKEN' in result.stdout
    assert 'pip install torch' in result.stdout
    assert 'pip install onedl-mmengine' in result.stdout


def test_core_of_this_environment_is_sound(monkeypatch):
    core = ('torch', 'numpy', 'PIL', 'safetensors', 'mmengine.runner', 'cv2', 'mim_plugin')
    real = doctor._import
    monkeypatch.setattr(doctor, '_import', lambda name: real(name) if name in core else None)
    findings = {finding.name: finding for finding in doctor.examine()}
    for name in ('Python', 'OpenMMLab family', 'torch', 'numpy', 'pillow', 'safetensors', 'mmengine', 'opencv'):
        assert findings[name].state == 'ok', findings[name]


def test_both_families_are_a_fault(environment):
    environment({'onedl-mmengine': '0.10.12', 'mmengine': '0.10.7', 'mmcv-lite': '2.1.0'})
    finding = doctor._families(doctor._family()[1])
    assert finding.state == 'broken'
    assert 'pip uninstall mmengine mmcv-lite onedl-mmengine' in finding.remedy


@pytest.mark.parametrize(
    ('torch', 'command'),
    [
        ('2.13.0+cpu', 'torchvision==0.28.0 --index-url https://download.pytorch.org/whl/cpu'),
        ('2.1.2+cu118', 'torchvision==0.16.2 --index-url https://download.pytorch.org/whl/cu118'),
        ('2.9.1', 'torchvision==0.24.1'),
        ('2.14.0a0', 'pip install torchvision'),
    ],
)
def test_torchvision_that_does_not_load_gets_the_fitting_wheel(environment, torch, command):
    environment({'torch': torch, 'torchvision': '0.28.0'}, {'torchvision': 'RuntimeError: no nms'})
    finding = doctor._torchvision()
    assert finding.state == 'broken'
    assert finding.remedy.endswith(f'{command} (RuntimeError: no nms)')


@pytest.mark.parametrize(('mmdet', 'state'), [(None, 'absent'), ('3.5.1', 'broken')])
def test_operators_are_missed_only_by_detection(environment, mmdet, state):
    versions = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmdetection': mmdet}
    environment(versions, {'mmcv._ext': "ModuleNotFoundError: No module named 'mmcv._ext'"})
    finding = doctor._operators('maintained')
    assert finding.state == state
    assert 'tools/setup.sh --extra detection' in finding.remedy


def test_opencv_is_needed_and_two_packages_must_agree(environment):
    environment({'opencv-python': '4.11.0.86', 'opencv-python-headless': '4.13.0.1'})
    assert doctor._opencv().state == 'broken'
    environment({'opencv-python': '4.11.0.86', 'opencv-python-headless': '4.11.0.86'})
    assert doctor._opencv().state == 'ok'
    environment({}, {'cv2': "ModuleNotFoundError: No module named 'cv2'"})
    assert doctor._opencv().remedy.endswith('pip install opencv-python')


def test_table_is_aligned_and_verdict_counts_faults_only():
    findings = [doctor.Finding('a', 'there'), doctor.Finding('longer', 'no', 'absent', 'pip install longer')]
    assert doctor.is_healthy(findings)
    header, rule, first, second = doctor.format_table(findings).split('\n')
    assert second.index('pip install') == header.index('to do') == rule.rindex('-----')
    assert first == 'a       there  ok'
    assert not doctor.is_healthy([*findings, doctor.Finding('b', 'x', 'broken')])
