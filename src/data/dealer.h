/* Dealing images to ranks, and taking what they report; on rank 0.
 *
 * Images are dealt in order of their numbers, a round at a time, and all of a round are decoded
 * before the next: so the first image that cannot be read is the same for any number of ranks, and
 * the memory that a round takes is bounded. Within a round each rank gets a part in proportion to
 * its speed, spread over the round, since images of one folder are often alike in size. */
#ifndef PNEUMO_DATA_DEALER_H
#define PNEUMO_DATA_DEALER_H

#include "bytes.h"
#include "draft.h"

typedef struct pd_dealer pd_dealer;

/* Fills drafts [scan->count] round by round. All is borrowed. The caller owns *out. */
pd_status pd_dealer_create(pd_dealer **out, pd_draft *drafts, const pd_scan *scan,
                           const pd_draft_options *options);
void pd_dealer_destroy(pd_dealer **dealer);

/* Takes reports of images that were decoded in earlier runs (pd_decoder_resume). Those of files
 * that have changed are ignored. Returns the number of images at *taken. */
pd_status pd_dealer_take_old(int64_t *taken, pd_dealer *dealer, const pd_bytes *reports);

/* Replaces *work by the next round of deals; it is empty if all images are decoded. */
pd_status pd_dealer_deal(pd_bytes *work, pd_dealer *dealer);

/* Takes the reports of all ranks on a round (pd_decoder_run). Fails for the first image that cannot
 * be read, or with skip_bad warns of all in order. */
pd_status pd_dealer_take(pd_dealer *dealer, const pd_bytes *reports);

/* Images that have been dealt with: decoded or bad. */
int64_t pd_dealer_done(const pd_dealer *dealer);

#endif
