/* The data set that an ensemble is evaluated on, as each member sees it. */
#ifndef PNEUMO_EVALUATE_ENSEMBLE_DATA_H
#define PNEUMO_EVALUATE_ENSEMBLE_DATA_H

#include "mean.h"
#include "pneumo/evaluate/classifier.h"

/* A data set as each member of a classifier sees it. */
typedef struct pd_ensemble_data {
    int count;
    /* Of each member; the same handle where folds are equal. */
    pd_dataset *datasets[PD_MEMBERS_MAX];
    pd_dataset *shown; /* the same data set to show: an image is in its val fold if it is in that of
                          any member */
    bool out_of_fold;  /* the members' folds differ */
} pd_ensemble_data;

/* Opens the data set at `path` with the folds of one member: its own if it was trained on a part of
 * a cross-validation of this data set (by its digest), else those of the file. */
pd_status pd_ensemble_data_open_member(pd_dataset **out, const pd_classifier_member *member,
                                       const char *path);

/* Opens the data set at `path` for every member, each with its folds. Release with
 * pd_ensemble_data_close, also after a failure. */
pd_status pd_ensemble_data_open(pd_ensemble_data *out, const pd_classifier *classifier,
                                const char *path);
void pd_ensemble_data_close(pd_ensemble_data *data);

/* Sets members[pd_classifier_count] to score a fold of the data set. Images of another data set are
 * normalised like the training images. Borrows from the classifier and the data. */
void pd_ensemble_data_members(pd_member *members, const pd_classifier *classifier,
                              const pd_ensemble_data *data, pd_fold fold);

#endif
