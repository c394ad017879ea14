/* Scores: a model's output for each sample, with the sample's label. */
#ifndef PNEUMO_METRICS_SCORES_H
#define PNEUMO_METRICS_SCORES_H

#include "pneumo/data/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The views of an image over which logits are averaged (pd_view_standard). */
typedef enum pd_views {
    PD_VIEWS_PLAIN = 0,  /* the image itself */
    PD_VIEWS_MIRROR = 1, /* also its mirror image */
    PD_VIEWS_ZOOM = 2,   /* also fields of 0.9 and 1.1 of the side, and their mirror images */
    PD_VIEWS_AUTO = 3    /* chosen on the validation fold */
} pd_views;

/* One scored sample. */
typedef struct pd_score {
    int64_t id;                 /* sample id in the data set */
    double logit;               /* log-odds of pneumonia of the plain view, uncalibrated */
    double views[PD_VIEWS_MAX]; /* the same of each view (pd_view_standard), [0] of the plain one;
                                   NAN beyond the computed ones */
    double probability;         /* of pneumonia; see pd_scores_decide */
    int32_t positive;           /* 1: pneumonia, 0: normal */
    int32_t truth;     /* the class: 0 normal, 1 pneumonia; task = cause: 0 normal, 1 bacteria,
                          2 virus */
    int32_t predicted; /* the likeliest class */
    int32_t patient;   /* group id in the data set */
    double loss;       /* cross-entropy of this sample, without smoothing and weights */
} pd_score;

/* Whether the probability is finite and no logit of a view is infinite: its probability would be 0
 * or 1. */
bool pd_score_is_finite(const pd_score *score);

/* The mean logit of the first `views` views. */
double pd_score_logit(const pd_score *score, int views);

/* From logits to probabilities: the mean logit of the first `views` views, divided by `temperature`
 * (1: uncalibrated). */
void pd_scores_decide(pd_score *scores, size_t count, double temperature, int views);

/* The number of views that the scores need; PD_VIEWS_AUTO needs all. */
int pd_views_count(pd_views views);

/* The inverse of pd_views_count for a number of views. */
pd_views pd_views_of(int count);

/* For qsort: ascending ids. */
int pd_score_compare_ids(const void *a, const void *b);

#endif
