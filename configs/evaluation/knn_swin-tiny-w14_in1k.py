"""Weighted k-nearest neighbours on frozen features, Swin-T/14, ImageNet-1K.

Paper        arXiv 2111.07832, Table 1: k-NN 76.2 for iBOT Swin-T/14, 300 epochs (quoted)
Reproduced   not yet run
Protocol     as knn_swin-tiny-w7_in1k.py
Run          tools/dist_test.sh configs/evaluation/knn_swin-tiny-w14_in1k.py CHECKPOINT 8
"""

_base_ = 'knn_swin-tiny-w7_in1k.py'

model = dict(backbone=dict(window_size=14))
