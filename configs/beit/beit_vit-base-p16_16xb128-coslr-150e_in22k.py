"""BEiT, ViT-B/16, ImageNet-22K, 150 epochs.

Paper        arXiv 2111.07832, Table 3: fine-tuned on ImageNet-1K 83.7; the published README of BEiT: 85.2 after
             fine-tuning on ImageNet-22K and -1K (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        2048 = 16 GPUs x 128; lr 1.5e-3, the same for all sizes (absolute, not scaled with the batch)
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Values from  the command of that README: warm-up of 10000 steps, mean and standard deviation 0.5 of a channel
Run          tools/dist_train.sh configs/beit/beit_vit-base-p16_16xb128-coslr-150e_in22k.py 8   (NNODES=2)
"""

_base_ = 'beit_vit-base-p16_16xb128-coslr-800e_in1k.py'

# data: a folder of class folders, of which only the images are read
train_dataloader = dict(dataset=dict(data_root='data/imagenet22k/', data_prefix=''))

# model
model = dict(data_preprocessor=dict(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5)))

# optimisation
train_cfg = dict(max_epochs=150)
param_scheduler = [dict(type='WarmupCosineLR', eta_min=1e-5, warmup_iters=10000, convert_to_iter_based=True)]
