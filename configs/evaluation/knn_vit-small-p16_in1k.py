"""Weighted k-nearest neighbours on frozen features, ViT-S/16, ImageNet-1K.

Paper        arXiv 2111.07832, Table 1: k-NN 75.2 for iBOT ViT-S/16, 800 epochs (quoted; the best of the four k)
Reproduced   not yet run
Protocol     [CLS] of the last block after the final norm, L2-normalised; shorter side 256 (bicubic), centre 224; votes
             exp(cosine / 0.07) of 10, 20, 100 and 200 neighbours among all training images
Weights      an official file, a training checkpoint (its teacher; model.network=student for the other), a bare backbone
Differs from the original in: nothing; adds what 16 x 16 thumbnails and the most frequent class reach
Run          tools/dist_test.sh configs/evaluation/knn_vit-small-p16_in1k.py CHECKPOINT 8
"""

_base_ = ['../_base_/datasets/imagenet_knn.py', '../_base_/default_runtime.py']

# model
model = dict(
    type='FeatureExtractor',
    backbone=dict(type='MIMVisionTransformer', arch='small', img_size=224, patch_size=16, pos_interpolation='ibot'),
    num_blocks=1,
    avgpool=0,
    network='teacher',
    data_preprocessor=dict(type='MIMDataPreprocessor', mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
)

# evaluation
test_cfg = dict(type='FrozenFeatureLoop')
test_evaluator = dict(type='KNNMetric', k=(10, 20, 100, 200), temperature=0.07)
