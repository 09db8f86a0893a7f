"""iBOT, Swin-T/14 (windows of 14 x 14 cells), ImageNet-1K, 300 epochs.

Paper        arXiv 2111.07832, Table 1: k-NN 76.2, linear 79.3 (quoted)
Reproduced   not yet run
Hardware     40 V100 GPUs in the published run (README)
Batch        1040 = 40 GPUs x 26; lr 2.03125e-3 = 5e-4 x batch / 256
Values from  the command of the released run, then the published code's defaults
Differs from the original in: seeds differ between processes; otherwise nothing
Run          tools/dist_train.sh configs/ibot/ibot_swin-tiny-w14_40xb26-coslr-300e_in1k.py 8   (NNODES=5)
"""

_base_ = 'ibot_swin-tiny-w7_16xb64-coslr-300e_in1k.py'

train_dataloader = dict(batch_size=26)

# model
model = dict(backbone=dict(window_size=14))

# optimisation
optim_wrapper = dict(optimizer=dict(lr=2.03125e-3))

auto_scale_lr = dict(enable=False, base_batch_size=1040)
