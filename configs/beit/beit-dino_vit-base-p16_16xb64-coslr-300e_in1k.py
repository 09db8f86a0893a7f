"""BEiT and DINO at once, ViT-B/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2106.08254v1, Table 8: fine-tuned 82.9, ADE20K 46.85; BEiT 82.9, 44.65; DINO (400 epochs) 82.8, 44.08
             (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 3e-3 = 7.5e-4 x batch / 256, as iBOT with ViT-B
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Assumed      the paper prints results only: the optimisation and the crops are those of iBOT with ViT-B without local
             crops, the masks and codes those of BEiT
Run          tools/dist_train.sh configs/beit/beit-dino_vit-base-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = '../ibot/ibot-2crops_vit-base-p16_16xb64-coslr-400e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(target_size=112)
train_pipeline[2] = dict(type='BEiTMasks', patch_size=16, num_masked=75)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(
    type='BEiTDINO',
    patch_tokenizer=dict(
        type='DALLETokenizer', checkpoint='checkpoints/dall-e/encoder.pkl', vocabulary_size=8192, hidden_dim=256
    ),
)

# optimisation
train_cfg = dict(max_epochs=300)
