"""BEiT as its paper describes it, ViT-L/16, fine-tuned on ImageNet-1K at 224 pixels, then 10 epochs at 384.

Paper        arXiv 2106.08254, Table 2: 86.3 top-1 (quoted)
Reproduced   not yet run
Batch        512 = 8 GPUs x 16 x 4 iterations of one step; lr 2e-5
Assumed      as the config of ViT-B; layer decay 0.9 and drop path 0.4 of beit-ft22k_vit-large-p16
Needs        mmpretrain, and ImageNet at data/imagenet
Run          tools/dist_train.sh configs/classification/beit-abs-ft1k_vit-large-p16_8xb16-coslr-10e_in1k-384x384.py 8 \
             --cfg-options load_from=FINETUNED.pth
"""

_base_ = './beit-abs-ft1k_vit-base-p16_8xb32-coslr-10e_in1k-384x384.py'

# data
train_dataloader = dict(batch_size=16)

# model: the whole classifier goes on from the run at 224 pixels
load_from = 'work_dirs/beit-abs_vit-large-p16_8xb64-coslr-30e_in1k/epoch_30.pth'
model = dict(backbone=dict(arch='large', drop_path_rate=0.4), head=dict(in_channels=1024))

# optimisation
optim_wrapper = dict(accumulative_counts=4, paramwise_cfg=dict(layer_decay_rate=0.9))

# of one iteration, as mmengine counts
auto_scale_lr = dict(base_batch_size=128)
