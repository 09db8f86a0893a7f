# iBOT on a folder of photographs, watched by labelled ones among them, data/photos/val/CLASS/*. Some hundred suffice:
# each is compared with all others. `--cfg-options data_root=DIR` moves both; without labels: --no-validate.
_base_ = './folder_ibot.py'

guard_pipeline = [
    dict(type='LoadImagePIL'),
    dict(type='ResizeShortSide', size=256),
    dict(type='CenterCrop', size=224),
    dict(type='PackImage'),
]
guard_hook = dict(
    type='FeatureGuardHook',
    k=20,
    tolerance=2.0,  # standard errors
    interval=100,
    bank_dataloader=dict(
        batch_size=64,
        num_workers=4,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='ImageFolderLabels', data_root={{_base_.data_root}}, data_prefix='val', pipeline=guard_pipeline
        ),
    ),
)
