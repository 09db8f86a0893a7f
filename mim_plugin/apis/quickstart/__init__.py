"""The quickstart: pretrain, compare, segment and draw in minutes, on built-in data or a user's folder."""

from mim_plugin.apis.quickstart.job import run_quickstart
from mim_plugin.apis.quickstart.options import QuickstartOptions

__all__ = ['QuickstartOptions', 'run_quickstart']
