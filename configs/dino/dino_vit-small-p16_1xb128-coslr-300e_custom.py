"""DINO, ViT-S/16, a folder of your own images, one GPU, 300 epochs.

Set data_root below or on the command line: any folder of images, no labels, subfolders are searched. With fewer than
about 10,000 images start from published weights rather than from random ones, which need long training and much data:
--cfg-options model.init_cfg.type=Pretrained model.init_cfg.checkpoint=FILE

Results      none: they depend on your images. Watch `effective_rank` in the log: it should rise; if it falls towards 1
             the features collapse, then lower teacher_temp to 0.04
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 2.5e-4 = 5e-4 x batch / 256
Differs from the ImageNet recipe in: 8192 prototypes, bfloat16, fixed length of the prototypes and a clip of 0.3, as in
             iBOT's config for your own images, from which nothing but the patch loss is taken away
Run          python tools/train.py configs/dino/dino_vit-small-p16_1xb128-coslr-300e_custom.py \
             --cfg-options train_dataloader.dataset.data_root=/path/to/images
"""

_base_ = '../ibot/ibot_vit-small-p16_1xb128-coslr-300e_custom.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline.pop(2)  # no patch is hidden
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(type='DINO', backbone=dict(mask_token=False))
