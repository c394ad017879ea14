/* The results of an evaluation: the figures of its folds, and what they belong to. */
#ifndef PNEUMO_EVALUATE_RESULTS_H
#define PNEUMO_EVALUATE_RESULTS_H

#include "pneumo/data/profile.h"
#include "pneumo/evaluate/stress.h"
#include "pneumo/io/dataset.h"
#include "pneumo/io/train_state.h"
#include "pneumo/metrics/calibration.h"
#include "pneumo/metrics/metrics.h"
#include "pneumo/metrics/shape.h"

#include <stdbool.h>

enum { PD_RESULTS_CLASSES = 3 };

/* Images unlike the training images, each counted under the first trait outside its limits. */
typedef struct pd_outside {
    bool checked; /* false: the checkpoint has no profile */
    int64_t count;
    int64_t by_trait[PD_TRAITS];
} pd_outside;

/* A fold at the threshold in use and at 0.5; for task = cause also the three-class confusion. */
typedef struct pd_results_fold {
    bool present;
    pd_metrics chosen;           /* at the threshold in use */
    pd_metrics half;             /* at 0.5 */
    pd_metrics chosen_bootstrap; /* the same with intervals by bootstrap over patients */
    pd_metrics half_bootstrap;
    pd_metrics patients; /* of patients' mean probabilities, at the chosen threshold */
    /* Share classified correctly of normal images and of each cause. */
    pd_figure by_cause[PD_CAUSES];
    pd_figure referred;          /* share of images in the checkpoint's band of doubt */
    pd_figure decided;           /* accuracy on the others */
    pd_outside outside;          /* images that predict would also refer */
    pd_calibration calibration;  /* of the calibrated probabilities */
    pd_calibration uncalibrated; /* with temperature 1 and the decision's views */
    /* At the chosen threshold, by the shape and size of the original images. */
    pd_shape_report shape;
    pd_stress stress; /* of the fold's images under acquisition changes */
    pd_score *scores; /* [score_count], in the order of ids; borrowed */
    size_t score_count;
    int64_t left_out; /* images without a score, of patients with images that calibration used */
    bool has_causes;
    int64_t causes[PD_RESULTS_CLASSES][PD_RESULTS_CLASSES]; /* [true][predicted]; normal, bacteria,
                                                             virus */
} pd_results_fold;

/* The classes of task = cause: NORMAL, BACTERIA, VIRUS. */
extern const char *const pd_results_classes[PD_RESULTS_CLASSES];

/* The recall of class `truth`. */
pd_figure pd_results_recall(const pd_results_fold *fold, int truth);

typedef struct pd_results {
    const char *job_name, *model, *data_path, *data_digest, *version; /* borrowed */
    const char *settings;                                             /* the job's text; borrowed */
    const char *trained_digest; /* of the data set that the model was trained on; borrowed */
    uint64_t seed;              /* as lanes, of the first model's job; see pd_results_knows_seed */
    int ranks, threads, lanes;
    int members; /* number of averaged networks; above 1 there is no epoch */
    int64_t parameters;
    int64_t best_epoch, epochs;
    /* The one in which the weights were saved; above `epochs`, in the middle of it. */
    int64_t weights_epoch;
    /* [history_count], a row per epoch: at the end of training of all, else of those up to the
     * saving of the weights; borrowed */
    const pd_history_row *history;
    int history_count;
    double seconds, images_per_second; /* of training; NAN: unknown */
    char processor[64];                /* that rank 0 trained on; "": unknown */
    double target_sensitivity, target_specificity;
    const char *decision_rule;    /* how the threshold was chosen; borrowed */
    const char *decision_fold;    /* on which images, as pd_decision.fold; NULL: val; borrowed */
    const char *temperature_fold; /* the same of the temperature */
    double temperature, refer_low, refer_high;
    int views;                /* averaged over: pd_view_standard */
    int64_t test_looks;       /* evaluations of the test fold so far, this one included */
    const pd_sample *samples; /* of the data set, by pd_score.id; borrowed */
    pd_dataset_info data;
    int64_t patients[PD_FOLDS]; /* with images in the fold; groups if a patient is unknown */
    int64_t causes[PD_FOLDS][PD_CAUSES]; /* images */
    pd_results_fold val, test;
    bool epoch_on_changed; /* the weights' epoch was chosen on changed images of the val fold */
    bool other_data;       /* the data set is not the one that the model was trained on */
    bool other_threshold;  /* the threshold was chosen for the weights of an earlier step */
    bool unrecognised; /* the data set may contain images used for calibration, at another size */
    int64_t unknown_patients; /* images of the data set whose patient is unknown */
    int64_t leaks;            /* patients with images in more than one fold of the data set */
} pd_results;

pd_targets pd_results_targets(const pd_results *results);

/* Whether another program trained the model, which does not tell how and on which images. */
bool pd_results_is_import(const pd_results *results);

/* Whether `seed` and `lanes` are those that the weights were trained with. The members of an
 * average have their own. */
bool pd_results_knows_seed(const pd_results *results);

/* The images on which the threshold and the band of doubt were chosen: "the validation fold"; NULL:
 * no images, as of a threshold that was given and of an import. */
const char *pd_results_decided_on(const pd_results *results);

/* The same of the temperature. */
const char *pd_results_scaled_on(const pd_results *results);

#endif
