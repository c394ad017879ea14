/* Decoding the images that rank 0 deals out, on every rank. */
#ifndef PNEUMO_DATA_DECODER_H
#define PNEUMO_DATA_DECODER_H

#include "bytes.h"
#include "parts.h"

/* An image that rank 0 deals to a rank; its name with the terminating zero follows. */
typedef struct pd_deal {
    int64_t number; /* among the scanned samples */
    pd_identity key;
    int32_t rank;
    uint32_t name_bytes; /* that follow */
} pd_deal;

/* What a rank reports of its images: a head, then `count` entries. */
typedef struct pd_report_head {
    int64_t rank, count;
    double seconds; /* that decoding took */
} pd_report_head;

typedef struct pd_report_entry {
    int64_t number; /* -1: known by the record's key */
    pd_place place;
    pd_part_record record;
    uint64_t message_bytes; /* that follow; more than 0 if the image cannot be read */
} pd_report_entry;

typedef struct pd_decoder_options {
    const char *folder; /* that was scanned */
    int rank, threads;
} pd_decoder_options;

/* Decodes and resizes the images that `work`, a sequence of deals, gives this rank into its part
 * file, and appends what came of them to `report`. An image that is damaged, missing or not to be
 * read by this user is part of the report; fails if the part file cannot be written, memory or
 * file handles run out, or the disk fails (pd_fail_system): such images may be good. */
pd_status pd_decoder_run(pd_bytes *report, pd_parts *parts, const pd_bytes *work,
                         const pd_decoder_options *options);

/* Appends to `report` the intact images of earlier runs in the part files that are this rank's to
 * check. */
pd_status pd_decoder_resume(pd_bytes *report, const pd_parts *parts);

#endif
