/* The checks of doctor: rank 0 compares the facts of all ranks and prints a line per check. */
#ifndef PNEUMO_CLI_DOCTOR_CHECKS_H
#define PNEUMO_CLI_DOCTOR_CHECKS_H

#include "doctor_facts.h"
#include "pneumo/train/job.h"

typedef enum pd_check_state { PD_CHECK_OK, PD_CHECK_WARN, PD_CHECK_FAIL } pd_check_state;

enum { PD_CHECKS_MAX = 64, PD_CHECK_TEXT = 768 };

typedef struct pd_check {
    const char *name;
    pd_check_state state;
    char text[PD_CHECK_TEXT]; /* the finding and, unless ok, how to solve the problem */
} pd_check;

typedef struct pd_checks {
    bool silent; /* else each line is printed at once */
    int count, warnings, failures;
    pd_check list[PD_CHECKS_MAX];
} pd_checks;

void pd_checks_add(pd_checks *checks, pd_check_state state, const char *name, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

/* Each checks facts[ranks], in rank order. */
void pd_check_programs(pd_checks *checks, const pd_facts *facts, int ranks);
void pd_check_processors(pd_checks *checks, const pd_facts *facts, int ranks);
void pd_check_binding(pd_checks *checks, const pd_facts *facts, int ranks);
void pd_check_lanes(pd_checks *checks, const pd_facts *facts, int ranks, const pd_job *job);
void pd_check_data(pd_checks *checks, const pd_facts *facts, int ranks, const pd_job *job,
                   const pd_dataset_info *info);
void pd_check_memory(pd_checks *checks, const pd_facts *facts, int ranks);
void pd_check_products(pd_checks *checks, const pd_facts *facts, int ranks);

/* Writes a size such as "12.3 GiB" and returns `text`. */
char *pd_check_bytes(char text[16], double bytes);

#endif
