"""What metrics are called elsewhere. One meaning has one name here: another one is answered, never taken."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from raysearch.errors import nearest

_DICE = (
    "the Dice of masks is f1_plus (of each image and class with a region, then the mean); cdice is that of soft maps"
)
_IOU = "it is iou (of each image and class with a region, then the mean)"
_MEAN_IOU = (
    "it is iou_pooled:classes (pixels of all images of a class together, then the mean over classes),"
    " iou_per_image:classes (image by image, then over classes), or iou (over images)"
)
_AUC = "it is auc (of image labels, mean over classes)"
_AP = (
    "pxap is the average precision of pixels, box_accuracy and max_box_acc_v2 judge boxes, auc image labels; the"
    " average precision of ranked boxes, or of labels, is none of them"
)
_F1 = "it is f1_plus of pixels (the same as Dice), or f1_score of image labels"
_BOXES = (
    "it is box_accuracy (share of pairs whose box has IoU >= 0.5; another with box_accuracy@T), or max_box_acc_v2 (mean"
    " over IoU 0.3, 0.5, 0.7)"
)
_ACCURACY = "it is accuracy (share of images with the right label)"
_ERROR = "it is classification_error (share of images with a wrong label)"
_PIXELS = "the share of right pixels is no metric here, since an empty mask has most of them right; see iou, f1_plus"
_RECALL = "it is recall (of pixels), which is reported beside an objective such as f1_plus, and cannot be one"
_PRECISION = "it is precision (of pixels), which is reported beside an objective such as f1_plus, and cannot be one"
_ABSENT = "what masks cover where there is nothing is false_positive_area (a share, over images without the class)"
_DISTANCE = (
    "it is hausdorff (average distance), hausdorff_max (larger of both means) or hausdorff_classical (largest); the"
    " 95th percentile is none of them"
)

SYNONYMS: dict[str, str] = {
    **dict.fromkeys(("dice", "dsc", "dice_score", "dice_coefficient", "dice_coef", "sorensen_dice", "ds"), _DICE),
    **dict.fromkeys(("mean_dice", "mdice", "dice_similarity", "f1_foreground"), _DICE),
    **dict.fromkeys(("f1+",), "it is f1_plus"),
    **dict.fromkeys(("f1-", "dice_background", "background_dice"), "it is f1_minus (Dice of the background)"),
    **dict.fromkeys(("soft_dice", "continuous_dice"), "it is cdice (Dice of the map as it is, without a threshold)"),
    **dict.fromkeys(("f1", "f_score", "f_measure", "fscore", "f1score"), _F1),
    **dict.fromkeys(("f1_macro", "macro_f1"), "it is f1_score (of image labels, mean over classes)"),
    **dict.fromkeys(("f1_micro", "micro_f1"), "f1_score is the mean over classes; that of all labels together is none"),
    **dict.fromkeys(("jaccard", "jaccard_index", "jaccard_score", "iou_score", "jsc", "js"), _IOU),
    **dict.fromkeys(("miou", "mean_iou", "m_iou", "meaniou", "mean_jaccard"), _MEAN_IOU),
    **dict.fromkeys(("bbox_iou", "iou_box", "boxiou", "giou"), "it is box_iou (mean over images, without a penalty)"),
    **dict.fromkeys(("auroc", "roc_auc", "auc_roc", "rocauc", "roc", "roc_auc_score", "area_under_curve"), _AUC),
    **dict.fromkeys(("map", "ap", "mean_average_precision", "average_precision", "map50", "ap50", "map_50"), _AP),
    **dict.fromkeys(("auprc", "aupr", "pr_auc", "prauc"), _AP),
    **dict.fromkeys(("pixel_ap", "px_ap"), "it is pxap"),
    **dict.fromkeys(("max_box_acc", "maxboxacc", "maxboxaccv2", "max_box_acc_v1", "box_acc", "corloc"), _BOXES),
    **dict.fromkeys(("gt_known_loc", "gt_known", "gt_loc", "loc_acc", "localization_accuracy", "top1_loc"), _BOXES),
    **dict.fromkeys(("acc", "top1", "top_1", "top1_accuracy", "classification_accuracy"), _ACCURACY),
    **dict.fromkeys(("error", "error_rate", "top1_error", "err"), _ERROR),
    **dict.fromkeys(("pixel_accuracy", "pixel_acc", "pixacc"), _PIXELS),
    **dict.fromkeys(("sensitivity", "tpr", "true_positive_rate", "hit_rate"), _RECALL),
    **dict.fromkeys(("ppv", "positive_predictive_value"), _PRECISION),
    **dict.fromkeys(("specificity", "tnr", "fpr", "false_positive_rate"), _ABSENT),
    **dict.fromkeys(("ior", "ioa"), "it is ior_accuracy (share of pairs with IoR >= T: ior_accuracy@T)"),
    **dict.fromkeys(("structural_similarity",), "it is ssim"),
    **dict.fromkeys(("hd", "hd95", "hd_95", "hausdorff95", "hausdorff_95", "hausdorff_distance"), _DISTANCE),
    **dict.fromkeys(("assd", "asd", "msd", "average_surface_distance", "surface_distance"), _DISTANCE),
}
"""By a name of elsewhere, in small letters: what it is here, or what is nearest and how that differs."""


def what_it_is(name: str, known: Collection[str]) -> str:
    """The end of an error message about a metric that is not known: what goes by that name elsewhere, the nearest name,
    or the list of all.

    >>> what_it_is("AUROC", ["auc"])
    'it is auc (of image labels, mean over classes)'
    """
    spelled = name.strip().lower()
    base = spelled.partition("@")[0]  # of NAME@T
    for word in (base, base.replace("-", "_").replace(" ", "_")):
        if word in known:
            return f"did you mean '{word}'?"
        if word in SYNONYMS:
            return SYNONYMS[word]
    match = difflib.get_close_matches(spelled, [*known, *SYNONYMS], n=1, cutoff=0.6)
    return SYNONYMS[match[0]] if match and match[0] in SYNONYMS else nearest(spelled, known)
