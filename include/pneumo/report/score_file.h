/* scores.csv: the scores of all images of the validation and test folds. */
#ifndef PNEUMO_REPORT_SCORE_FILE_H
#define PNEUMO_REPORT_SCORE_FILE_H

#include "pneumo/evaluate/results.h"

/* Writes CSV (RFC 4180) with pd_output_write, with the header
 *     fold,id,name,patient,label,cause,logit,probability
 * and a row per image of the folds that are present; fold, label and cause as in the data set
 * (VAL, PNEUMONIA, VIRUS); logit is the mean of the views in use (pd_score_logit of
 * results->views), from which the temperature makes the probability; numbers read back to the same
 * bits. */
pd_status pd_score_file_write(const char *path, const pd_results *results);

/* Reads the rows of `fold` back: id, patient, positive, logit and probability of (*out)[*count]
 * (free()), in the order of the file. Anything that pd_score_file_write does not write is an error
 * that names the file and line. */
pd_status pd_score_file_read(pd_score **out, size_t *count, const char *path, pd_fold fold);

#endif
