"""iBOT, whose tokenizer is an average of the student, ViT-S/16, ImageNet-1K, 300 epochs, two crops.

Paper        arXiv 2111.07832, Table 20, row "iBOT": k-NN 70.3, linear 74.8, fine-tuned 81.5 (quoted)
Reproduced   not yet run
Hardware     16 V100 GPUs, 13.1 GiB each, 47 hours (Table 19, quoted)
Batch        1024 = 16 GPUs x 64; lr 2e-3 = 5e-4 x batch / 256
Assumed      the prediction ratio of the released run, 0 or 0.3 +- 0.2
Others       Table 9, fixed prediction ratio: configs/ibot_ablation/ibot_vit-small-p16_16xb64-coslr-300e_in1k.py
Run          tools/dist_train.sh configs/tokenizer_ablation/ibot_vit-small-p16_16xb64-coslr-300e_in1k.py 8   (NNODES=2)
"""

_base_ = '../ibot/ibot-2crops_vit-small-p16_16xb64-coslr-800e_in1k.py'

# optimisation
train_cfg = dict(max_epochs=300)
