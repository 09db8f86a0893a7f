"""iBOT, ViT-S/16, fine-tuned on 10 % of the labels of ImageNet-1K, 1000 epochs.

Paper        arXiv 2111.07832, Table 4 and 12: 75.1 top-1 from the first layer of the projection head, 74.0 without it
             (quoted)
Reproduced   not yet run
Batch        1024 = 8 GPUs x 128; lr 1e-5 = 5e-6 x batch / 512, which it also ends at: constant after the warm-up
Values from  the published command
Differs from the original in: no moving average of the weights, which it tracked but did not evaluate
Needs        mmpretrain, ImageNet at data/imagenet, its list of 10 % as meta/train_10percent.txt there
             (docs/classification.md), and a training checkpoint with the projection head
Run          tools/dist_train.sh configs/classification/ibot-semi_vit-small-p16_8xb128-1000e_in1k-10percent.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=FULL.pth model.neck.init_cfg.checkpoint=FULL.pth
"""

_base_ = './ibot-semi_vit-small-p16_8xb128-1000e_in1k-1percent.py'

# data
train_dataloader = dict(dataset=dict(ann_file='meta/train_10percent.txt'))
