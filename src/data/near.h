/* Near-duplicates: copies of an image that were re-encoded, resized or slightly changed.
 *
 * Candidates are images whose 64-bit perceptual hashes differ in few bits: the signs of the middle
 * frequencies of a discrete cosine transform of a small copy, after Zauner, "Implementation and
 * Benchmarking of Perceptual Image Hash Functions", 2010, but without the lowest frequencies, in
 * which all chest radiographs are alike. A candidate counts if the details of the two copies
 * correlate as well. Cropping more than 1 % at each side, or turning by more than 1 degree, hides a
 * copy from it. */
#ifndef PNEUMO_DATA_NEAR_H
#define PNEUMO_DATA_NEAR_H

#include "pneumo/data/image.h"

#include <stdbool.h>

enum {
    PD_NEAR_SIDE = 64,                           /* of the small copies */
    PD_NEAR_BYTES = PD_NEAR_SIDE * PD_NEAR_SIDE, /* of a small copy */
    PD_NEAR_DISTANCE = 7                         /* the largest number of differing bits */
};

/* The smallest correlation. On 5,190 radiographs of the public data set, candidates of different
 * images reach 0.42, also after borders or text boxes were added to all of them at most 0.69;
 * copies stored as JPEG of quality 30, halved, brightened by 20 % or with noise have at least 0.9.
 */
#define PD_NEAR_CORRELATION 0.75

/* Writes a small copy of an image, in which each pixel is the mean of its area, to
 * out[PD_NEAR_BYTES]. Fails when memory runs out. */
pd_status pd_near_copy(uint8_t *out, const pd_image *image);

/* The hash of a small copy. */
uint64_t pd_near_hash(const uint8_t *copy);

/* The hash of the mirrored image. */
uint64_t pd_near_mirror(uint64_t hash);

/* Writes the details of a small copy to out[PD_NEAR_BYTES]: the differences to the mean of 5 x 5
 * pixels, cut at twice their mean size, so that borders and letters that many images share do not
 * dominate; scaled to mean 0 and a sum of squares of 1. Returns false, and writes zeros, if the
 * copy is plain. */
bool pd_near_details(float *out, const uint8_t *copy);

/* Sets what the search needs of an image: its small copy copy[PD_NEAR_BYTES], the hash of it, and
 * whether it is plain. Fails when memory runs out. */
pd_status pd_near_describe(uint8_t *copy, uint64_t *hash, bool *plain, const pd_image *image);

/* The correlation of two images by their details, the second mirrored if `mirrored`. */
double pd_near_correlation(const float *a, const float *b, bool mirrored);

typedef struct pd_near_search pd_near_search;

/* Prepares the search among hashes[count], which are borrowed; those with plain[i] are left out.
 * Fails when memory runs out. The caller owns *out. */
pd_status pd_near_search_create(pd_near_search **out, const uint64_t *hashes, const bool *plain,
                                int64_t count);
void pd_near_search_destroy(pd_near_search **search);

/* Two images whose hashes are close, b < a. */
typedef struct pd_near_pair {
    int64_t a, b;
    bool mirrored; /* the hash of one is close to the mirrored hash of the other */
    bool joins;    /* of two patients, which are one now (pd_near_pairs_find) */
} pd_near_pair;

/* Calls visit(context, pair) for every pair of images with hashes within PD_NEAR_DISTANCE and a of
 * at least `first`, once for each of plain and mirrored, in order of a; stops when it fails and
 * returns its status. Also stops before the image a after whose pairs more than `limit` were
 * visited; *searched is the number of images before that, `count` if all.
 *
 * Multi-index hashing (Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index
 * Hashing", CVPR 2012): of four 16-bit parts of hashes at a distance of at most 7, one differs in
 * at most one bit, so only the images with such a part are compared. */
pd_status pd_near_search_run(int64_t *searched, const pd_near_search *search, int64_t first,
                             int64_t limit,
                             pd_status (*visit)(void *context, const pd_near_pair *pair),
                             void *context);

#endif
