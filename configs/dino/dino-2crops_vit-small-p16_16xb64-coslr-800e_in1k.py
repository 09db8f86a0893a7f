"""DINO without local crops, ViT-S/16, ImageNet-1K, 800 epochs.

Paper        arXiv 2111.07832, Table 10: k-NN 70.0, linear 73.7; fine-tuned 81.6 (Table 19) (quoted)
Reproduced   not yet run
Hardware     16 V100 GPUs, 9.3 GiB each, 112 hours (Table 19, quoted)
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Values from  the paper (two crops, scale 0.14 to 1), then the recipe with local crops
Others       300 epochs, Table 9: configs/ibot_ablation/dino_vit-small-p16_16xb64-coslr-300e_in1k.py
Run          tools/dist_train.sh configs/dino/dino-2crops_vit-small-p16_16xb64-coslr-800e_in1k.py 8   (NNODES=2)
"""

_base_ = 'dino_vit-small-p16_16xb64-coslr-800e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(global_scale=(0.14, 1.0), local_crops=0)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
