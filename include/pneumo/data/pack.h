/* Packing a folder of radiographs into one data-set file. */
#ifndef PNEUMO_DATA_PACK_H
#define PNEUMO_DATA_PACK_H

#include "pneumo/data/folds.h"
#include "pneumo/data/patient.h"
#include "pneumo/data/shape.h"
#include "pneumo/data/team.h"
#include "pneumo/io/dataset.h"

#include <stdbool.h>

typedef struct pd_pack_options {
    const char *folder, *output;
    int size; /* side of the packed images in pixels; 0: 224, or that of the set to append to */
    pd_fold_options folds;
    /* Folders or findings of the classes (pd_scan_options); NULL: the known ones. */
    const char *classes[PD_LABELS];
    /* A packed set whose images come first, and whose size and folds count; NULL:
     * none. */
    const char *append;
    bool new_patients;            /* the images show none of the patients of that set */
    const char *labels, *columns; /* of a table (pd_scan_options); NULL: folders are classes */
    const char *patient_pattern;  /* pd_patient_rules_create; NULL: none */
    bool recursive, allow_rest, allow_missing; /* pd_scan_options */
    bool keep_lateral;                         /* pack lateral views too */
    bool skip_bad;                             /* leave out unreadable images */
    int threads;         /* of this rank, that decode images; 0: one per available core */
    const pd_team *team; /* NULL: this process alone */
    double keep_seconds; /* if decoding took this long, part files are kept after any error */
} pd_pack_options;

/* Limits of pd_pack_options.size. */
enum { PD_PACK_SIZE_MIN = 8, PD_PACK_SIZE_MAX = 2048 };

#define PD_PACK_DEFAULTS                                                                           \
    {                                                                                              \
        .folds = PD_FOLDS_DEFAULTS, .keep_seconds = 60                                             \
    }

/* What was packed, for the table that the command prints. */
typedef struct pd_pack_result {
    pd_dataset_info info;
    int64_t bad;            /* left out by skip_bad */
    int64_t old;            /* of the set that was appended to */
    int64_t bridging;       /* left out, since they would make patients of two old folds one */
    int64_t lateral;        /* lateral views left out, by what DICOM files state */
    int64_t other;          /* left out because their files state another modality */
    int64_t named;          /* packed under another name, since their paths named the patient */
    int64_t left_out;       /* files in the folder that are not packed */
    pd_patient_tally tally; /* of the readable images, if unknown of the packed ones; the examples
                               are of no use outside */
    int64_t near_pairs;     /* images that are almost the same */
    int64_t near_joined;    /* those of them that were of two patients, which are one now */
    int64_t leaks;          /* patients with images in two folds; always 0 for policy split */
    int64_t images[PD_FOLDS][PD_LABELS][PD_CAUSES];
    int64_t patients[PD_FOLDS][PD_LABELS];
    pd_shapes shapes; /* of all packed images */
} pd_pack_result;

/* Packs a folder into options->output, without anything that identifies a patient: /patient is a
 * number in order of first appearance, and a path that contains what a DICOM file states of its
 * patient (name, ID, birth date, accession number) is stored as "NORMAL/image-000012.dcm". After a
 * failure that file is unchanged. Shows progress. The same folder and options give the same bytes
 * on any number of ranks and threads. Warns of images whose patient is unknown, of patients in two
 * folds, and of shapes that separate the classes (pd_shapes_compare): both make figures too good.
 *
 * With options->append, the result is the set of that name with the new images behind its own. Old
 * patients keep their folds, and new images of theirs follow; options->folds is not used. It may be
 * the output itself.
 *
 * Collective: the options are the same on all ranks, but for team and threads; *result is set on
 * rank 0 only, and messages are its own. Every rank decodes some of the images into a part file
 * beside the output (src/data/parts.h), from which a process that was killed continues with the
 * same options. Part files are removed when the output is complete, and after an error that a new
 * try would repeat, unless decoding took keep_seconds; they are kept when the disk or memory is
 * full. Fails if another process packs to the same output (pd_lock_take_file).
 *
 * Of exact duplicates (files with the same bytes) the first by name is kept; their patients become
 * one, and their cause UNKNOWN if the names differ in it. Near-duplicates (src/data/near.h) are all
 * kept, their patients become one, and it warns if that joins two, if their labels differ, or if
 * they are in different kept folds. Errors name the file: a folder or class
 * that is missing or empty (pd_scan_folder), an image that cannot be read (unless skip_bad), a
 * duplicate under two labels, a class too small for the folds (pd_folds_assign). */
pd_status pd_pack(const pd_pack_options *options, pd_pack_result *result);

#endif
