"""Weighted k-nearest neighbours on frozen features, ViT-B/16, ImageNet-1K.

Paper        arXiv 2111.07832, Table 1: k-NN 77.1 for iBOT ViT-B/16, 400 epochs, blockwise masks; 77.3 with random masks
             (published checkpoint); 71.1 pretrained on ImageNet-22K for 80 epochs (Table 15) (quoted)
Reproduced   not yet run
Protocol     as knn_vit-small-p16_in1k.py
Run          tools/dist_test.sh configs/evaluation/knn_vit-base-p16_in1k.py CHECKPOINT 8
"""

_base_ = 'knn_vit-small-p16_in1k.py'

model = dict(backbone=dict(arch='base'))
