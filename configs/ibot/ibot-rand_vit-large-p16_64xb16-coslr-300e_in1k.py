"""iBOT with random masks, ViT-L/16, ImageNet-1K, 300 epochs.

Published    k-NN 77.7, linear 81.3, fine-tuned 85.0 (the published code's table of models, quoted)
Reproduced   not yet run
Hardware     64 V100 GPUs in the published run (README)
Batch        1024 = 64 GPUs x 16; lr 3e-3 = 7.5e-4 x batch / 256
Assumed      length and batch as in the blockwise recipe, the prediction ratio of ViT-B/16 with random masks: neither is
             stated anywhere
Run          NNODES=8 tools/dist_train.sh configs/ibot/ibot-rand_vit-large-p16_64xb16-coslr-300e_in1k.py 8
"""

_base_ = 'ibot-rand_vit-base-p16_16xb64-coslr-400e_in1k.py'

# data
train_dataloader = dict(batch_size=16)

# model
model = dict(backbone=dict(arch='large'))

# optimisation
train_cfg = dict(max_epochs=300)
