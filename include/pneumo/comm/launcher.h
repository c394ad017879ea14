/* The MPI launcher that started this process. */
#ifndef PNEUMO_COMM_LAUNCHER_H
#define PNEUMO_COMM_LAUNCHER_H

#include <stddef.h>

typedef struct pd_launcher {
    const char *variables[2]; /* that it sets in the environment, all of them; NULL: none */
    const char *unbind; /* its command with the option that binds ranks to cores, or to none */
    const char *cores;  /* what precedes the number of cores; NULL: `unbind` gives all */
} pd_launcher;

/* NULL if no launcher started this process. Call it before MPI starts, which sets variables, too.
 */
const pd_launcher *pd_launcher_find(void);

/* The number that the launcher gives this process, before MPI has started; -1: unknown. */
int pd_launcher_rank(void);

/* Writes how to give a rank `threads` cores: "start with mpirun --bind-to none". Returns `text`. */
char *pd_launcher_advise(char *text, size_t size, const pd_launcher *launcher, int threads);

#endif
