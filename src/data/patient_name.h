/* File names: undoing what tools add to them, and the patterns that tell the patient. */
#ifndef PNEUMO_DATA_PATIENT_NAME_H
#define PNEUMO_DATA_PATIENT_NAME_H

#include "pneumo/io/dataset.h"

#include <stdbool.h>

/* The patterns, compiled. */
typedef struct pd_name_rules pd_name_rules;

pd_status pd_name_rules_create(pd_name_rules **out);
void pd_name_rules_destroy(pd_name_rules **rules);

/* Removes extensions and what tools add from the last component of `path`, in place. With
 * `sure_only`, keeps what original names can end in as well, such as " (2)". */
void pd_name_undo(char *path, const pd_name_rules *rules, bool sure_only);

/* The patient that a name stands for. */
typedef struct pd_name_match {
    const char *type; /* of the number, such as "NIH"; NULL: the name is not known */
    int start, end;   /* of the number in the path, without leading zeros */
    pd_cause cause;   /* UNKNOWN unless the name states it */
} pd_name_match;

/* Matches an undone path with the known patterns. */
pd_name_match pd_name_parse(const char *path, const pd_name_rules *rules);

#endif
