"""Linear segmentation head on frozen iBOT ViT-B/16 without its final norm, ADE20K, 512 x 512.

Paper        iBOT (arXiv 2111.07832), appendix: 37.8 mIoU without the norm, 38.3 with it (quoted)
Reproduced   not yet run
Hardware     4 GPUs
Batch        16 = 4 GPUs x 4; lr 8e-4
Values from  the config with the norm; the published default is to leave it out
Needs        mmsegmentation, and ADE20K at data/ade/ADEChallengeData2016
Run          tools/dist_train.sh configs/segmentation/ibot-nonorm_vit-base-p16_linear_4xb4-160k_ade20k-512x512.py 4 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = 'ibot_vit-base-p16_linear_4xb4-160k_ade20k-512x512.py'

# model
model = dict(backbone=dict(final_norm='none'))
