"""Frozen features of a ViT-S/16 on your own images in class folders: k-NN and logistic regression.

Layout       data/photos/{train,val}/CLASS/*; other places with
             --cfg-options bank_dataloader.dataset.data_root=DIR test_dataloader.dataset.data_root=DIR
Results      depend on your images. Compare with thumbnail_* (16 x 16 pixels, no network) and majority_*: features that
             do not beat them are worth nothing. Two classes also get the area under the ROC curve (auc)
Few labels   test_evaluator.1.labels_per_class=20 trains on 20 images a class, drawn five times: mean and deviation
Needs        scikit-learn for the logistic regression
Run          python tools/test.py configs/evaluation/features_vit-small-p16_custom.py CHECKPOINT
"""

_base_ = ['../_base_/datasets/folder_knn.py', '../_base_/default_runtime.py']

# model
model = dict(
    type='FeatureExtractor',
    backbone=dict(type='MIMVisionTransformer', arch='small', img_size=224, patch_size=16, pos_interpolation='ibot'),
    data_preprocessor=dict(type='MIMDataPreprocessor', mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
)

# evaluation; no k may be above the number of training images
test_cfg = dict(type='FrozenFeatureLoop')
test_evaluator = [
    dict(type='KNNMetric', k=(1, 5, 20), temperature=0.07),
    dict(type='LogisticRegressionMetric', scaling='standard', C=1.0),
]
