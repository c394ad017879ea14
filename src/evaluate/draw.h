/* Drawing samples by whole patients. */
#ifndef PNEUMO_EVALUATE_DRAW_H
#define PNEUMO_EVALUATE_DRAW_H

#include "pneumo/base/status.h"
#include "pneumo/metrics/scores.h"

/* Keeps `each` samples of each class of samples[*count], in their order: patients are taken in an
 * order drawn by `seed`, each with all its samples, skipping patients that would bring a class
 * above `each`. A class gets fewer where the sizes of patients do not allow it. Fails if a class
 * has fewer than `each` in all. A pure function of id, positive, patient and the seed. */
pd_status pd_draw_patients(pd_score *samples, size_t *count, int64_t each, uint64_t seed);

/* Assigns samples[count] to parts 0 ... *parts - 1 for cross-validation: part[i] is that of sample
 * i. Patients stay whole and are taken in an order drawn by `seed`, each into the part with the
 * fewest samples of its class (PNEUMONIA if any of its samples is). *parts is `most`, or the number
 * of patients of the rarer class if that is less. With two or more parts, the samples outside of
 * any part include both classes; with fewer, cross-validation is not possible. */
pd_status pd_draw_parts(int *part, int *parts, const pd_score *samples, size_t count, int most,
                        uint64_t seed);

#endif
