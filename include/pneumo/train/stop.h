/* Stopping in good order: SIGTERM, SIGINT and SIGUSR1 ask a run to save and end. */
#ifndef PNEUMO_TRAIN_STOP_H
#define PNEUMO_TRAIN_STOP_H

#include <stdbool.h>

/* From now on the signals are noted instead of ending the process; a second SIGINT ends it. */
void pd_stop_listen(void);

/* Whether this process was asked to stop. */
bool pd_stop_requested(void);

#endif
