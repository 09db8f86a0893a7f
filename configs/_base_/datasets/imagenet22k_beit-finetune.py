# ImageNet-22K with labels, a folder for each of its classes: data/imagenet22k/CLASS/*.JPEG. Nothing to validate on.
_base_ = './imagenet_beit-finetune.py'

data_root = 'data/imagenet22k/'
data_preprocessor = dict(num_classes=21841)

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpretrain.CustomDataset',
        data_root=data_root,
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None
