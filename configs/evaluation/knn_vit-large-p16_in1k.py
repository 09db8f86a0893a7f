"""Weighted k-nearest neighbours on frozen features, ViT-L/16, ImageNet-1K.

Paper        arXiv 2111.07832, Table 1: k-NN 78.0 for iBOT ViT-L/16, blockwise masks; 77.7 with random masks (published
             checkpoint); 72.9 pretrained on ImageNet-22K for 50 epochs (Table 15) (quoted)
Reproduced   not yet run
Protocol     as knn_vit-small-p16_in1k.py
Run          tools/dist_test.sh configs/evaluation/knn_vit-large-p16_in1k.py CHECKPOINT 8
"""

_base_ = 'knn_vit-small-p16_in1k.py'

model = dict(backbone=dict(arch='large'))
