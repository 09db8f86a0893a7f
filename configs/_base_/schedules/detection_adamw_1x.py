# 12 epochs of AdamW; mmdetection's own 1x schedule has the published warm-up (500 iterations from a thousandth) and
# drops to a tenth after 8 and 11 epochs. The learning rate shrinks from block to block.
_base_ = 'mmdet::_base_/schedules/schedule_1x.py'

optim_wrapper = dict(
    _delete_=True,
    type='AmpOptimWrapper',
    loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='mim_plugin.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.8, originals=True),
)
