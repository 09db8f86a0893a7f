"""iBOT, ViT-B/16, fine-tuned on iNaturalist 2019, 360 epochs.

Paper        arXiv 2111.07832, Table 7: 79.6 top-1 (quoted)
Reproduced   not yet run
Batch        768 = 8 GPUs x 96; lr 1.125e-5 = 7.5e-6 x batch / 512
Values from  the published command: random erasing 0.1
Needs        mmpretrain, and iNaturalist 2019 at data/inaturalist2019 with the lists that
             tools/dataset_converters/classification_lists.py writes from train2019.json and val2019.json
Run          tools/dist_train.sh configs/classification/ibot_vit-base-p16_8xb96-360e_inat19.py 8 \
             --cfg-options model.backbone.init_cfg.checkpoint=PRETRAINED.pth
"""

_base_ = './ibot_vit-base-p16_8xb96-360e_inat18.py'

# data
data_root = 'data/inaturalist2019'
data_preprocessor = dict(num_classes=1010)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))

# model
model = dict(head=dict(num_classes=1010))
