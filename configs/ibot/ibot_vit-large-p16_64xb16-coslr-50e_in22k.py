"""iBOT, ViT-L/16, ImageNet-22K, 50 epochs.

Paper        arXiv 2111.07832, Table 1: k-NN 72.9, linear 82.3 on ImageNet-1K; fine-tuned 86.6 (Table 3) (quoted).
             The released backbone is the student
Reproduced   not yet run
Batch        1024 = 64 GPUs x 16 (the paper's batch); lr 2e-3 = 5e-4 x batch / 256
Assumed      as in the ViT-B/16 recipe on ImageNet-22K, at the paper's batch
Run          NNODES=8 tools/dist_train.sh configs/ibot/ibot_vit-large-p16_64xb16-coslr-50e_in22k.py 8
"""

_base_ = 'ibot_vit-base-p16_40xb51-coslr-80e_in22k.py'

# data
train_dataloader = dict(batch_size=16)

# model
model = dict(backbone=dict(arch='large'))

# optimisation
train_cfg = dict(max_epochs=50)
optim_wrapper = dict(optimizer=dict(lr=2e-3))

auto_scale_lr = dict(base_batch_size=1024)
