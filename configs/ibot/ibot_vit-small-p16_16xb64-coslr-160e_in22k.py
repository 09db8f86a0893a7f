"""iBOT, ViT-S/16, ImageNet-22K, 160 epochs.

Paper        arXiv 2111.07832, Table 15: k-NN 69.3, linear 76.5 on ImageNet-1K (quoted); no file was released
Reproduced   not yet run
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Assumed      all but length and data set as in the ImageNet-1K recipe
Run          tools/dist_train.sh configs/ibot/ibot_vit-small-p16_16xb64-coslr-160e_in22k.py 8   (NNODES=2)
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-800e_in1k.py'

# data: a folder of class folders, of which only the images are read
train_dataloader = dict(dataset=dict(data_root='data/imagenet22k/', data_prefix=''))

# optimisation
train_cfg = dict(max_epochs=160)
