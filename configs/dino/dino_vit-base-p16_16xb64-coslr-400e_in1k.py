"""DINO, ViT-B/16, ImageNet-1K, 400 epochs, two global and ten local crops.

Paper        arXiv 2106.08254v1, Table 8: fine-tuned 82.8, ADE20K 44.08. arXiv 2111.07832, Tables 1 and 2: k-NN 76.1,
             linear 78.2; fine-tuned 83.6 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 3e-3 = 7.5e-4 x batch / 256
Assumed      iBOT's recipe with ViT-B, without the patch loss; 65536 prototypes as the published DINO models
Run          tools/dist_train.sh configs/dino/dino_vit-base-p16_16xb64-coslr-400e_in1k.py 8   (NNODES=2)
"""

_base_ = '../ibot/ibot_vit-base-p16_16xb64-coslr-400e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline.pop(2)  # no patch is hidden
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(type='DINO', backbone=dict(mask_token=False), head=dict(out_dim=65536))
