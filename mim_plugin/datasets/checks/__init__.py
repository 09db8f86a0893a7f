"""Checks of annotated data sets, once over the files, before a training meets what is wrong with them."""

from mim_plugin.datasets.checks.coco import check_coco
from mim_plugin.datasets.checks.downloads import check_ade20k, check_coco2017, link_data_root
from mim_plugin.datasets.checks.report import Finding, Report
from mim_plugin.datasets.checks.segmentation import check_segmentation

__all__ = [
    'Finding',
    'Report',
    'check_ade20k',
    'check_coco',
    'check_coco2017',
    'check_segmentation',
    'link_data_root',
]
