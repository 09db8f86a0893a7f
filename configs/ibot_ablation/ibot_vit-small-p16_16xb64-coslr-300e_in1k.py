"""iBOT as its ablations start from: ViT-S/16, ImageNet-1K, 300 epochs, two crops, a fixed share of hidden patches.

Paper        arXiv 2111.07832, Table 9, row "iBOT": k-NN 69.1, linear 74.2, fine-tuned 81.5 (quoted)
Reproduced   not yet run
Hardware     16 V100 GPUs, 13.1 GiB each, 47 hours (Table 19, quoted)
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Values from  the paper: prediction ratio 0.3 in every crop, no local crops; then the recipe of 800 epochs
Run          tools/dist_train.sh configs/ibot_ablation/ibot_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = '../ibot/ibot-2crops_vit-small-p16_16xb64-coslr-800e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(pred_ratio=0.3, pred_ratio_var=0.0)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# optimisation
train_cfg = dict(max_epochs=300)
