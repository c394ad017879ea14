/* Part files: the decoded images of a data set that is being packed.
 *
 * Images are decoded once, before duplicates and folds are known. Until then each rank keeps those
 * that it decodes in a file of its own beside the output, OUTPUT.part-RANK. The files survive the
 * end of the process, so that the same command continues from them: each image has a key of its
 * file's path, size and time of change, and hashes of all that is stored, so what is torn, damaged
 * or out of date is noticed.
 *
 * Nothing in a part file identifies a patient: what DICOM files state of the patient is stored as a
 * hash with a secret, which is computed from one of the images and is not stored itself. */
#ifndef PNEUMO_DATA_PARTS_H
#define PNEUMO_DATA_PARTS_H

#include "near.h"
#include "pneumo/io/site.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first bytes of a part file. Files with another header belong to other options or another
 * version of the program. */
typedef struct pd_parts_header {
    char magic[16];
    uint32_t format, side; /* side of the images in pixels */
    char version[24];      /* of the program */
    pd_identity secret_of; /* the key of the image that the secret is computed from */
    pd_identity secret_check;
    pd_identity check; /* of all above */
} pd_parts_header;

/* What is stored of an image besides its pixels. */
typedef struct pd_part_record {
    pd_identity check;        /* of what follows, and of the small copy */
    pd_identity key;          /* pd_scan.keys */
    pd_identity pixels, file; /* pd_identity_of_bytes of the packed pixels and of the file */
    pd_identity patient;      /* hash of pd_image.patient with the secret; zeros: none */
    uint64_t hash;            /* pd_near_hash */
    uint16_t height, width;   /* of the image before it was made square */
    uint8_t projection;       /* pd_projection */
    uint8_t is_other, names_patient, plain; /* as in pd_draft */
} pd_part_record;

/* Where an image is. */
typedef struct pd_place {
    int32_t part, slot;
} pd_place;

/* What all ranks know: rank 0's. */
typedef struct pd_parts_plan {
    pd_parts_header header;
    pd_identity secret;
    int32_t count; /* part files that may exist: numbers below this */
} pd_parts_plan;

typedef struct pd_parts {
    const char *output; /* borrowed */
    pd_parts_plan plan;
    size_t image_bytes, slot_bytes;
    int rank, ranks;
    int own;           /* descriptor of this rank's file; -1: not open */
    int32_t next_slot; /* of this rank's file */
    int *files;        /* [count]: descriptors for reading; NULL: not open */
    int count;
} pd_parts;

/* Sets plan->count to the number of part files beside `output`, and plan->header to that of the
 * first one that this version can use for images [side][side]; false: there is none, and the header
 * has no secret yet. */
pd_status pd_parts_find(pd_parts_plan *plan, bool *found, const char *output, int side);

/* Replaces the header by one without a secret: existing part files are of no use. */
void pd_parts_renew(pd_parts_plan *plan);

/* Sets the secret of the plan from the bytes of a file with this key. Returns false, and changes
 * nothing, if the header has a secret and this is another. */
bool pd_parts_set_secret(pd_parts_plan *plan, const pd_identity *key, const void *bytes,
                         size_t size);

/* Opens the part file of this rank, and creates it and its folder if needed; replaces it if its
 * header is another. Fails if the file is something else. *out is released with pd_parts_close,
 * also after a failure. `output` is borrowed. */
pd_status pd_parts_open(pd_parts *out, const char *output, const pd_parts_plan *plan, int rank,
                        int ranks);
void pd_parts_close(pd_parts *parts);

/* Calls visit(context, place, record) for every intact image in the part files that are this rank's
 * to check: rank, rank + ranks, ... Stops when it fails and returns its status. */
pd_status pd_parts_check(const pd_parts *parts,
                         pd_status (*visit)(void *context, pd_place place,
                                            const pd_part_record *record),
                         void *context);

/* A slot [parts->slot_bytes]: a record, a small copy, and the pixels. */
static inline uint8_t *pd_parts_copy(uint8_t *slot)
{
    return slot + sizeof(pd_part_record);
}

static inline uint8_t *pd_parts_pixels(uint8_t *slot)
{
    return slot + sizeof(pd_part_record) + PD_NEAR_BYTES;
}

/* Stores a slot, whose copy and pixels are set, with *record, whose hashes of these it sets, in
 * this rank's file. For any thread. */
pd_status pd_parts_append(pd_place *place, pd_parts *parts, uint8_t *slot, pd_part_record *record);

/* Ends appending, so that other ranks, on other hosts too, can read the file. */
pd_status pd_parts_finish(pd_parts *parts);

/* Opens the files of all ranks, after all have called pd_parts_finish. */
pd_status pd_parts_open_all(pd_parts *parts);

/* Reads pixels [side][side]; fails if they are not those that were stored. For any thread. `slot`
 * [slot_bytes] is scratch. */
pd_status pd_parts_read(const pd_parts *parts, pd_place place, uint8_t *pixels, uint8_t *slot);

/* Reads the record of an image. */
pd_status pd_parts_read_record(const pd_parts *parts, pd_place place, pd_part_record *record);

/* Reads a small copy. */
pd_status pd_parts_read_copy(const pd_parts *parts, pd_place place, uint8_t *copy);

/* Removes all part files of `output`. */
void pd_parts_remove(const pd_parts *parts);

#endif
