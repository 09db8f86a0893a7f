"""BEiT and DINO at once: codes of the dVAE for hidden patches, self-distillation for [CLS].

Paper        arXiv 2111.07832, Table 9: k-NN 48.0, linear 62.7, fine-tuned 81.2 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Needs        the published encoder of DALL-E under checkpoints/dall-e/encoder.pkl
Assumed      the recipe of iBOT's ablations; the dVAE sees the crop that the student sees, with 112 pixels
Run          tools/dist_train.sh configs/ibot_ablation/beit-dino_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = 'ibot_vit-small-p16_16xb64-coslr-300e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline[1].update(target_size=112)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(
    type='BEiTDINO',
    patch_tokenizer=dict(
        type='DALLETokenizer', checkpoint='checkpoints/dall-e/encoder.pkl', vocabulary_size=8192, hidden_dim=256
    ),
)
