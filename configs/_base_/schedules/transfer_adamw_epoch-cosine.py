# iBOT's transfer to small data sets: the rate changes once an epoch and hardly at all, since it ends at 1e-5 and starts
# little above. Everything is decayed but biases and parameters of one dimension; no layer decay.
train_cfg = dict(type='mim_plugin.ResumableEpochLoop', max_epochs=1000)
val_cfg = dict()
test_cfg = dict()

optim_wrapper = dict(
    type='mim_plugin.MIMAmpOptimWrapper',
    dtype='float16',
    constructor='mim_plugin.MIMOptimWrapperConstructor',
    # 7.5e-6 x batch / 512
    optimizer=dict(type='AdamW', lr=1.125e-5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
)

param_scheduler = [
    dict(type='mim_plugin.EpochCosineLR', eta_min=1e-5, warmup_epochs=5, warmup_start=1e-6),
]

auto_scale_lr = dict(enable=False, base_batch_size=768)
