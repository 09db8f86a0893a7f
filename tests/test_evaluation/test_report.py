from mim_plugin.evaluation.report import format_figures


def test_table_of_figures():
    figures = {
        'accuracy': 81.234,
        'accuracy_std': 1.5,
        'auc': 90.0,
        'thumbnail_accuracy': 5.0,
        'majority_accuracy': 3.0,
    }
    assert format_figures(figures).splitlines() == [
        '                     accuracy       auc',
        'network              81.23 +- 1.50  90.00',
        '16 x 16 thumbnails   5.00           -',
        'most frequent class  3.00           -',
    ]
