"""Weighted k-nearest neighbours on frozen features, Swin-T/7, ImageNet-1K.

Paper        arXiv 2111.07832, Table 1: k-NN 75.3 for iBOT Swin-T/7, 300 epochs (quoted)
Reproduced   not yet run
Protocol     as knn_vit-small-p16_in1k.py, with the mean of the tokens of the last stage in the place of [CLS]
Linear       the features of the linear protocol are those of four blocks, model.num_blocks=4: 2304 = 2 x 384 + 2 x 768
Run          tools/dist_test.sh configs/evaluation/knn_swin-tiny-w7_in1k.py CHECKPOINT 8
"""

_base_ = 'knn_vit-small-p16_in1k.py'

model = dict(
    backbone=dict(_delete_=True, type='MIMSwinTransformer', arch='tiny', img_size=224, patch_size=4, window_size=7)
)
