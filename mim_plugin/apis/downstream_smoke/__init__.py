"""Small real trainings of every downstream task: the shipped checkpoint beside random weights."""

from mim_plugin.apis.downstream_smoke.job import downstream_smoke
from mim_plugin.apis.downstream_smoke.options import SmokeOptions

__all__ = ['SmokeOptions', 'downstream_smoke']
