"""BEiT with the 3-bit mean colour of a patch as its token (MPP), ViT-S/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2111.07832, Table 20, row "MPP": k-NN 16.4, linear 37.2, fine-tuned 80.8 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 7.5e-4 = BEiT's 1.5e-3 x batch / 2048
Differs from the original in: its code is not published; the recipe is BEiT's with absolute positions, no layer scale
Run          tools/dist_train.sh configs/tokenizer_ablation/mpp_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = [
    '../_base_/models/beit_vit-base-p16.py',
    '../_base_/datasets/imagenet_beit.py',
    '../_base_/schedules/beit_adamw_coslr_800e.py',
    '../_base_/default_runtime.py',
]

# data: the tokenizer sees the transformer's view
train_pipeline = [
    dict(type='LoadImagePIL', upright=False),
    dict(type='TwoResolutionCrop', size=224, target_size=None),
    dict(type='BEiTMasks', patch_size=16, num_masked=75),
    dict(type='PackViews'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))

# model
model = dict(
    backbone=dict(arch='small', pos_embed='absolute', relative_bias=None, layer_scale=0.0),
    tokenizer=dict(type='MeanColorTokenizer', patch_size=16, bits=3),
)

# optimisation
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(optimizer=dict(lr=7.5e-4))

auto_scale_lr = dict(enable=False, base_batch_size=1024)
