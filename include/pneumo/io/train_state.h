/* What a run needs, besides its arrays, to continue training. */
#ifndef PNEUMO_IO_TRAIN_STATE_H
#define PNEUMO_IO_TRAIN_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One epoch. Rates are means over the epoch; NAN if unknown. */
typedef struct pd_history_row {
    int32_t epoch; /* from 1 */
    double learning_rate, train_loss, val_loss, val_auc, val_accuracy, val_sensitivity,
        val_specificity, gradient_norm;
    double val_stress_auc; /* on changed validation images; NAN if the job does not score them */
} pd_history_row;

/* The numbers of a row by the names of /history and of history.csv; each is a double. */
typedef struct pd_history_field {
    const char *name;
    size_t offset;    /* in pd_history_row */
    bool significant; /* history.csv has six significant digits of it, else six decimals */
} pd_history_field;

enum { PD_HISTORY_FIELDS = 9 };

extern const pd_history_field pd_history_fields[PD_HISTORY_FIELDS];

/* The number of a row at this offset. */
double pd_history_value(const pd_history_row *row, size_t offset);

typedef struct pd_train_state {
    int64_t epoch;      /* epochs completed */
    int64_t step;       /* optimisation steps of the whole run */
    int64_t epoch_step; /* steps taken in the current epoch */
    uint64_t seed;
    int64_t lanes;
    double best_metric; /* NAN before the first validation */
    int64_t best_epoch;
    int64_t patience_left;                 /* epochs until early stopping */
    int64_t plateau_left;                  /* epochs until the learning rate is cut */
    double learning_scale;                 /* factor on the scheduled learning rate */
    double epoch_loss_sum, epoch_norm_sum; /* running sums over the current epoch */
    bool finished;                         /* the run is complete */
    int history_count;
    pd_history_row *history;
} pd_train_state;

#endif
