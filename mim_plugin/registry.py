"""Registries of mim_plugin: children of mmengine's, with scope ``mim_plugin``.

``type='mim_plugin.X'`` resolves from a config of any OpenMMLab package: mmengine
imports this module by its name when it meets the scope, and every registry
imports the modules of its ``locations`` at the first look-up.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as MMENGINE_OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import Registry

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'FUNCTIONS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'MODEL_WRAPPERS',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'TRANSFORMS',
    'VISBACKENDS',
]


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(
        parent.name,
        parent=parent,
        scope='mim_plugin',
        locations=[f'mim_plugin.{location}' for location in locations],
    )


MODELS = _child(MMENGINE_MODELS, 'models')
DATASETS = _child(MMENGINE_DATASETS, 'datasets')
DATA_SAMPLERS = _child(MMENGINE_DATA_SAMPLERS, 'datasets')
TRANSFORMS = _child(MMENGINE_TRANSFORMS, 'datasets.transforms')
FUNCTIONS = _child(MMENGINE_FUNCTIONS, 'datasets')
OPTIMIZERS = _child(MMENGINE_OPTIMIZERS, 'engine.optim')
OPTIM_WRAPPERS = _child(MMENGINE_OPTIM_WRAPPERS, 'engine.optim')
OPTIM_WRAPPER_CONSTRUCTORS = _child(MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS, 'engine.optim')
PARAM_SCHEDULERS = _child(MMENGINE_PARAM_SCHEDULERS, 'engine.optim')
HOOKS = _child(MMENGINE_HOOKS, 'engine.hooks')
LOOPS = _child(MMENGINE_LOOPS, 'engine.loops')
METRICS = _child(MMENGINE_METRICS, 'evaluation')
# Empty, but mmengine warns about a scope that lacks them.
MODEL_WRAPPERS = _child(MMENGINE_MODEL_WRAPPERS, 'engine')
VISBACKENDS = _child(MMENGINE_VISBACKENDS, 'engine')
