# SETR-PUP on BEiT's ViT-B/16: four 3 x 3 convolutions of 256 channels, each followed by a doubling of the map, on the
# last block. The paper says no more; three auxiliary heads of one convolution, weight 0.4, on blocks 3, 5 and 7 are
# our choice, after SETR. Each head norms its tokens itself.
_base_ = 'mmseg::_base_/models/setr_pup.py'

auxiliary_heads = [
    dict(
        type='SETRUPHead',
        in_channels=768,
        in_index=tap,
        channels=256,
        num_classes=150,
        dropout_ratio=0,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        num_convs=1,
        up_scale=4,
        kernel_size=3,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    )
    for tap in range(3)
]
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        _delete_=True,
        type='mim_plugin.MIMVisionTransformer',
        arch='base',
        img_size=512,
        patch_size=16,
        qkv_bias='qv',
        init='beit_finetune',
        drop_path_rate=0.1,
        out_indices=(3, 5, 7, 11),
        final_norm='none',
    ),
    decode_head=dict(in_channels=768, num_classes=150),
    auxiliary_head=auxiliary_heads,
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
