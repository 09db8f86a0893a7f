"""BEiT as its paper describes it, ViT-B/16, fine-tuned on ImageNet-1K at 224 pixels, then 10 epochs at 384.

Paper        arXiv 2106.08254, Table 2: 84.6 top-1 (quoted)
Reproduced   not yet run
Batch        512 = 8 GPUs x 32 x 2 iterations of one step; lr 2e-5
Assumed      all but the size and the epochs, which the paper gives: the recipe by which the published code goes on from
             fine-tuned weights (beit-ft22k_*), its warm-up shortened with the epochs. Of the file at 224 pixels the
             positions are resized and the head is kept
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/beit-abs-ft1k_vit-base-p16_8xb32-coslr-10e_in1k-384x384.py 8 \
             --cfg-options load_from=FINETUNED.pth
"""

_base_ = './beit-ft22k_vit-base-p16_8xb32-coslr-30e_in1k-384x384.py'

# model: the whole classifier goes on from the run at 224 pixels
load_from = 'work_dirs/beit-abs_vit-base-p16_8xb128-coslr-100e_in1k/epoch_100.pth'
model = dict(backbone=dict(pos_embed='absolute', relative_bias=None, layer_scale=0.0, init_cfg=None))

# optimisation
train_cfg = dict(max_epochs=10)

# schedules
param_scheduler = [
    dict(type='mim_plugin.WarmupCosineLR', eta_min=1e-6, warmup_epochs=2, convert_to_iter_based=True),
]
