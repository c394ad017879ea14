/* Which images show the same patient, by their file names. */
#ifndef PNEUMO_DATA_PATIENT_H
#define PNEUMO_DATA_PATIENT_H

#include "pneumo/io/dataset.h"

#include <stddef.h>

/* Bytes that a patient's key can need beyond those of the file's name. */
enum { PD_PATIENT_KEY_EXTRA = 16 };

/* Parses a file name, with or without folders. Known patterns: person12_bacteria_46.jpeg,
 * person447_virus_921_1.jpeg, IM-0115-0001.jpeg, IM-0429-0001-0002.jpeg, and the latter two after
 * NORMAL2-. Writes the patient's typed key, such as "bacteria 12" or "NORMAL2-IM 1427", to
 * key[size]. A name that fits no pattern is its own key. Returns the cause, UNKNOWN unless the name
 * states it. */
pd_cause pd_patient_parse(char *key, size_t size, const char *name);

/* Groups names[count] by patient key: first[i] is the index of the first name with the key of
 * names[i]. Also sets causes[count] unless it is NULL. Fails when memory runs out. */
pd_status pd_patients_group(int64_t *first, pd_cause *causes, const char *const *names,
                            int64_t count);

#endif
