/* Stopping on a signal: SIGTERM, SIGINT and SIGUSR1 make a run save and end. */
#ifndef PNEUMO_TRAIN_STOP_H
#define PNEUMO_TRAIN_STOP_H

#include <stdbool.h>

/* From now on the signals set a flag instead of ending the process; a second SIGINT ends it. */
void pd_stop_listen(void);

/* Whether this process received one of the signals. */
bool pd_stop_requested(void);

#endif
