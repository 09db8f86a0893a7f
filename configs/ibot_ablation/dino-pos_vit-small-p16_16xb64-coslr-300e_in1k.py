"""DINO with self-distillation between patches of two crops that cover the same place.

Paper        arXiv 2111.07832, appendix, "DINO + pos.": k-NN 67.1, linear 72.5; DINO 67.9, 72.5; iBOT 69.1, 74.2
             (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Differs from the original: its code is not published; which patches are compared is said in DenseDINO
Run          tools/dist_train.sh configs/ibot_ablation/dino-pos_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = 'dino_vit-small-p16_16xb64-coslr-300e_in1k.py'

# data
train_pipeline = _base_.train_pipeline
train_pipeline.insert(2, dict(type='MatchPatches', patch_size=16))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

# model
model = dict(type='DenseDINO', matching='position')
