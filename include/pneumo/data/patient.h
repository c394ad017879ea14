/* Which images show the same patient.
 *
 * The sources, in this order: a table of labels, a pattern of the user, the file itself (DICOM's
 * PatientID), and known patterns of file names. An image that none of them identifies is its own
 * patient. If different sources identify different images, as in a folder of DICOM files and PNG
 * files, an image is compared with the others by each source that identifies one of them. */
#ifndef PNEUMO_DATA_PATIENT_H
#define PNEUMO_DATA_PATIENT_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum pd_patient_source {
    PD_PATIENT_TABLE = 0,
    PD_PATIENT_PATTERN = 1,
    PD_PATIENT_FILE = 2,
    PD_PATIENT_NAME = 3,
    PD_PATIENT_UNKNOWN = 4,
    PD_PATIENT_SOURCES = 5
} pd_patient_source;

/* What is known of an image. All is borrowed; `table` and `file` are NULL or "" if silent. */
typedef struct pd_patient_hints {
    const char *path;  /* of the file, with the folders that its name is unique in */
    const char *table; /* the patient by the table of labels */
    const char *file;  /* the patient by the file itself (pd_image.patient) */
    const char *old;   /* the patient by a packed set; nothing else counts then; NULL: none */
    bool is_uncounted; /* not part of the tally */
} pd_patient_hints;

/* The patient and cause of an image. */
typedef struct pd_patient_id {
    /* Equal for images of one patient, such as "bacteria 12" or "NIH 13"; the first word is the
     * type of the number, so that equal numbers of two types are two patients. free(). */
    char *key;
    pd_patient_source source;
    pd_cause cause; /* UNKNOWN unless the file name states it */
} pd_patient_id;

/* The patterns, compiled. */
typedef struct pd_patient_rules pd_patient_rules;

/* `pattern` is a POSIX extended regular expression whose first group is the patient, searched for
 * in the path; NULL: none. PD_USAGE if it is not valid or has no group. The caller owns *out. */
pd_status pd_patient_rules_create(pd_patient_rules **out, const char *pattern);
void pd_patient_rules_destroy(pd_patient_rules **rules);

/* Identifies the patient of one image. Known names are the published ones (person12_bacteria_46,
 * IM-0115-0001, NORMAL2-IM-1427-0001), those of NIH ChestX-ray14 (00000013_005), and of the
 * Shenzhen and Montgomery sets, and the folders of CheXpert (patient00001/study1) and MIMIC-CXR
 * (p10000032/s50414267), also after tools have rewritten them ("_jpeg.rf.HASH", " - Copy", " (2)",
 * "_flip", "aug_1_", doubled extensions). The key of an unknown patient is the path without what
 * such tools add, so that the copies that they make stay together. Fails when memory runs out. */
pd_status pd_patient_identify(pd_patient_id *out, const pd_patient_rules *rules,
                              const pd_patient_hints *hints);

/* Images by the source of their patient. */
typedef struct pd_patient_tally {
    int64_t images[PD_PATIENT_SOURCES];
    int64_t example[PD_PATIENT_SOURCES]; /* the index of the first; -1: none */
    /* Patients that are one of another source's too, and images of known patients that cannot be
     * compared with all others, since other sources identify those */
    int64_t united, apart;
} pd_patient_tally;

/* Groups the images of hints[count] by patient: first[i] is the index of the first image with the
 * patient of image i. Also sets causes[count], sources[count] and *tally unless they are NULL.
 * Fails when memory runs out. */
pd_status pd_patients_group(int64_t *first, pd_cause *causes, pd_patient_source *sources,
                            pd_patient_tally *tally, const pd_patient_rules *rules,
                            const pd_patient_hints *hints, int64_t count);

/* Adds the `known` images of a packed set whose patient is known to the tally; `grouping` is what
 * pd_patients_describe wrote of the set. It does not tell how many images each source identified,
 * so each source that it names counts once. */
void pd_patients_tally_add(pd_patient_tally *tally, const char *grouping, int64_t known);

/* What the groups are called: "patients", or "groups" if the patient of an image is unknown. */
const char *pd_patients_noun(int64_t unknown);

/* The same of `count` groups: without the s for 1. */
const char *pd_patients_noun_of(int64_t unknown, int64_t count);

/* Writes the sources and how many images each identifies, such as "DICOM (60 images), file name (3
 * images)", to text[size]. */
void pd_patients_list_sources(char *text, size_t size, const pd_patient_tally *tally);

/* Writes how patients were identified, such as "patient by file name, duplicates as one", to
 * text[size]. */
void pd_patients_describe(char *text, size_t size, const pd_patient_tally *tally);

/* Whether `grouping`, which pd_patients_describe wrote, names the source. */
bool pd_patients_names_source(const char *grouping, pd_patient_source source);

/* The number of images whose patient is unknown. A file that does not say it was packed by names
 * alone, which are parsed again. */
pd_status pd_patients_unknown(int64_t *out, const pd_dataset *dataset);

#endif
