/* How well the height and width of the images predict their class. */
#ifndef PNEUMO_DATA_SHAPE_H
#define PNEUMO_DATA_SHAPE_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>

typedef enum pd_shape_measure {
    PD_SHAPE_ASPECT = 0, /* width over height */
    PD_SHAPE_AREA = 1,   /* width times height, in pixels */
    PD_SHAPE_MEASURES = 2
} pd_shape_measure;

/* The measure of a sample whose height and width are known. */
double pd_shape_value(pd_shape_measure measure, const pd_sample *sample);

/* How well one measure alone separates the classes. */
typedef struct pd_shape_separation {
    double auc;      /* 0.5 to 1: the probability that an image of class `higher` has the higher
                        value; ties count half */
    pd_label higher; /* PD_NORMAL when auc is 0.5 */
    double medians[PD_LABELS];
    bool is_shortcut; /* the AUC is significantly above PD_SHAPE_AUC */
} pd_shape_separation;

/* Disease alone is unlikely to give a shape a higher AUC than this. */
#define PD_SHAPE_AUC 0.6

typedef struct pd_shapes {
    bool known; /* false: the shape of an image is unknown, or a class has no images; nothing below
                   is set */
    bool same;  /* all images have the same height and width, most likely from an earlier resize;
                   separations is not set */
    int height, width;                                  /* of the first image */
    pd_shape_separation separations[PD_SHAPE_MEASURES]; /* by pd_shape_measure */
} pd_shapes;

/* Compares the classes of samples[count]. is_shortcut is whether Newcombe's score interval of the
 * AUC (method 5, Statistics in Medicine 25, 559-573, 2006; 95 %) lies above PD_SHAPE_AUC. Fails
 * when memory runs out. */
pd_status pd_shapes_compare(pd_shapes *out, const pd_sample *samples, int64_t count);

#endif
