"""BEiT with 4096 k-means clusters of the colours of patches as tokens, ViT-S/16, ImageNet-1K, 300 epochs.

Paper        arXiv 2111.07832, Table 20, row "Patch clustering": k-NN 19.2, linear 40.1, fine-tuned 81.3 (quoted)
Reproduced   not yet run
Hardware     16 GPUs
Batch        1024 = 16 GPUs x 64; lr 7.5e-4 = BEiT's 1.5e-3 x batch / 2048
Differs from the original in: its code is not published. Centroids are fitted to 10 % of the images as there, but to
             some patches of a random crop of each (about 350,000 in all); absolute positions, no layer scale
Run          python tools/fit_codes.py \
             configs/tokenizer_ablation/patch-clustering_vit-small-p16_16xb64-coslr-300e_in1k.py \
             --num-images 128117 --workers 16
             tools/dist_train.sh \
             configs/tokenizer_ablation/patch-clustering_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = ['./mpp_vit-small-p16_16xb64-coslr-300e_in1k.py']

# model
model = dict(
    tokenizer=dict(
        _delete_=True,
        type='KMeansTokenizer',
        features=dict(type='PixelFeatures', patch_size=16),
        vocabulary_size=4096,
        normalise='none',
        checkpoint='checkpoints/codes/in1k_patches_4096.safetensors',
    ),
)
