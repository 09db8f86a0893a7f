"""BEiT in the form of its published code, ViT-B/16, ImageNet-1K, 800 epochs.

Paper        arXiv 2106.08254, Table 1 and 5: fine-tuned 83.2 (quoted). The paper's own model has absolute positions and
             no layer scale (beit-abs_*); its README gives this command as the default
Reproduced   not yet run
Hardware     16 GPUs (the paper: 16 V100 with 32 GB, 5 days)
Batch        2048 = 16 GPUs x 128; lr 1.5e-3, the same for all sizes (absolute, not scaled with the batch)
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Values from  the command of the published README: layer scale 0.1, clip 3.0, ImageNet statistics; else Table 5
Run          tools/dist_train.sh configs/beit/beit_vit-base-p16_16xb128-coslr-800e_in1k.py 8   (NNODES=2)
"""

_base_ = [
    '../_base_/models/beit_vit-base-p16.py',
    '../_base_/datasets/imagenet_beit.py',
    '../_base_/schedules/beit_adamw_coslr_800e.py',
    '../_base_/default_runtime.py',
]

# model
model = dict(tokenizer=dict(type='DALLETokenizer', checkpoint='checkpoints/dall-e/encoder.pkl'))

auto_scale_lr = dict(enable=False, base_batch_size=2048)
