"""iBOT, ViT-S/16, goes on from published weights on a folder of your own images, one GPU, 100 epochs.

The start is any file with a ViT-S/16: a full `checkpoint.pth` of iBOT brings its heads, centres and mask token along;
of a teacher's or DINO's file the heads start anew and learn on a resting backbone for three epochs. The log says which
case it is. The full file of a DINO training has heads of another size: take its backbone alone, see the page.

Guard        k-NN among the labelled images of data_root/val (CLASS/IMAGE) is measured at the start and every 100
             iterations; the training stops if it falls by more than two standard errors. No labels: --no-validate
Page         docs/continue_pretraining.md
Results      none: not run with these files. The small network of this package was, see the page
Hardware     1 GPU with bfloat16; if its memory is short, --auto-scale-lr --cfg-options train_dataloader.batch_size=64
Batch        128; lr 5e-5 = 1e-4 x batch / 256
Differs from the training from scratch in: lr (a fifth), teacher momentum 0.998, warm-up of one epoch and of new heads
Run          python tools/train.py configs/continued/ibot_vit-small-p16_1xb128-coslr-100e_custom.py \
             --cfg-options load_from=checkpoint.pth data_root=/path/to/images
"""

_base_ = [
    '../_base_/models/ibot_vit-small-p16.py',
    '../_base_/datasets/folder_ibot_guard.py',
    '../_base_/schedules/ibot_continued_100e.py',
    '../_base_/default_runtime.py',
]

# data
train_dataloader = dict(batch_size=128, num_workers=8)

# model: the lengths of the prototypes stay as the file has them
model = dict(head=dict(norm_last_layer=True))

# hooks
custom_hooks = [
    {{_base_.momentum_hook}},
    {{_base_.temperature_hook}},
    {{_base_.head_hook}},
    {{_base_.rank_hook}},
    {{_base_.guard_hook}},
]

# runtime: epochs of a small folder are short
default_hooks = dict(checkpoint=dict(interval=10))

auto_scale_lr = dict(enable=False, base_batch_size=128)
