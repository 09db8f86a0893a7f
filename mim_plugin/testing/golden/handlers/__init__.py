"""One module a family of kinds; each handler takes a case and returns its answers."""

from collections.abc import Callable

from mim_plugin.testing.golden.case import Answers, Case
from mim_plugin.testing.golden.handlers.beit_init import beit_init
from mim_plugin.testing.golden.handlers.beit_model import beit_finetune
from mim_plugin.testing.golden.handlers.beit_resize import beit_relpos_resize
from mim_plugin.testing.golden.handlers.beit_step import beit_mim_step
from mim_plugin.testing.golden.handlers.beit_views import beit_transforms
from mim_plugin.testing.golden.handlers.classification import ibot_finetune
from mim_plugin.testing.golden.handlers.dense import beit_seg_backbone, ibot_dense_backbone
from mim_plugin.testing.golden.handlers.dvae import dalle_decoder, dalle_encoder, dvae_forward
from mim_plugin.testing.golden.handlers.evaluation import eval_knn, eval_linear_features
from mim_plugin.testing.golden.handlers.ibot_loss import ibot_loss, ibot_loss_distributed
from mim_plugin.testing.golden.handlers.ibot_model import ibot_forward, ibot_head
from mim_plugin.testing.golden.handlers.ibot_step import ibot_step
from mim_plugin.testing.golden.handlers.keys import keys_beit, keys_ibot
from mim_plugin.testing.golden.handlers.layer_decay import param_groups_beit
from mim_plugin.testing.golden.handlers.masks import masks_beit, masks_ibot
from mim_plugin.testing.golden.handlers.optimizer import ibot_lars, param_groups_ibot
from mim_plugin.testing.golden.handlers.schedules import schedules_beit, schedules_ibot
from mim_plugin.testing.golden.handlers.segmentation import beit_seg_upernet
from mim_plugin.testing.golden.handlers.unknown import UnknownCase

__all__ = ['HANDLERS', 'UnknownCase']

HANDLERS: dict[str, Callable[[Case], Answers]] = {
    'beit_finetune': beit_finetune,
    'beit_init': beit_init,
    'beit_mim_step': beit_mim_step,
    'beit_relpos_resize': beit_relpos_resize,
    'beit_seg_backbone': beit_seg_backbone,
    'beit_seg_upernet': beit_seg_upernet,
    'beit_transforms': beit_transforms,
    'dalle_decoder': dalle_decoder,
    'dalle_encoder': dalle_encoder,
    'dvae_forward': dvae_forward,
    'eval_knn': eval_knn,
    'eval_linear_features': eval_linear_features,
    'ibot_det_backbone': ibot_dense_backbone,
    'ibot_finetune': ibot_finetune,
    'ibot_head': ibot_head,
    'ibot_lars': ibot_lars,
    'ibot_loss': ibot_loss,
    'ibot_loss_distributed': ibot_loss_distributed,
    'ibot_seg_backbone': ibot_dense_backbone,
    'ibot_swin_forward': ibot_forward,
    'ibot_swin_step': ibot_step,
    'ibot_vit_forward': ibot_forward,
    'ibot_vit_step': ibot_step,
    'keys_beit': keys_beit,
    'keys_ibot': keys_ibot,
    'masks_beit': masks_beit,
    'masks_ibot': masks_ibot,
    'param_groups_beit': param_groups_beit,
    'param_groups_ibot': param_groups_ibot,
    'schedules_beit': schedules_beit,
    'schedules_ibot': schedules_ibot,
}
