"""BEiT with the prototypes of a trained DINO as tokens ("standalone DINO"), ViT-S/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2111.07832, Tables 9 and 20, row "Standalone DINO": k-NN 44.3, linear 60.0, fine-tuned 81.7 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 7.5e-4 = BEiT's 1.5e-3 x batch / 2048
Differs from the original in: its code is not published; the tokenizer is the teacher of a full checkpoint of DINO
             (ViT-S/16, its published 65536 prototypes; the paper's was trained for 300 epochs); absolute positions,
             no layer scale
Run          tools/dist_train.sh configs/tokenizer_ablation/dino_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = ['./mpp_vit-small-p16_16xb64-coslr-300e_in1k.py']

# model
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='DINOTokenizer',
        encoder=dict(type='MIMVisionTransformer', arch='small', img_size=224, patch_size=16),
        head=dict(type='ProjectionHead', in_dim=384, out_dim=65536, hidden_dim=2048, bottleneck_dim=256),
        part='teacher',
        checkpoint='checkpoints/dino_deitsmall16_pretrain_full_checkpoint.pth',
    ),
)
