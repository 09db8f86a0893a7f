# As segmentation_adamw_160k for half the images an iteration: the gradients of two iterations are added up, so 320k
# iterations are 160k updates with 16 images, and the schedules are twice as long in iterations.
_base_ = './segmentation_adamw_160k.py'

train_cfg = dict(max_iters=320000, val_interval=32000)

optim_wrapper = dict(accumulative_counts=2)

param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=3001),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=0, end=320001),
]

default_hooks = dict(checkpoint=dict(interval=32000))
auto_scale_lr = dict(base_batch_size=8)
