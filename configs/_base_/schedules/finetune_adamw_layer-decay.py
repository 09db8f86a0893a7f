# Fine-tuning of BEiT and iBOT. All lengths follow train_cfg.max_epochs; lr is absolute and that of the head, a layer
# below has `layer_decay_rate` times the rate of the layer above, in warm-up, cosine and at the end (eta_min).
train_cfg = dict(type='mim_plugin.ResumableEpochLoop', max_epochs=100)
val_cfg = dict()
test_cfg = dict()

optim_wrapper = dict(
    type='mim_plugin.MIMAmpOptimWrapper',
    dtype='float16',
    constructor='mim_plugin.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.65, no_decay=('pos_embed', 'cls_token')),
    optimizer=dict(type='AdamW', lr=4e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
)

param_scheduler = [
    dict(type='mim_plugin.WarmupCosineLR', eta_min=1e-6, warmup_epochs=20, convert_to_iter_based=True),
]

auto_scale_lr = dict(enable=False, base_batch_size=1024)
