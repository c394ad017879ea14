/* pd_profile as content of a checkpoint file. */
#ifndef PNEUMO_IO_PROFILE_INTERNAL_H
#define PNEUMO_IO_PROFILE_INTERNAL_H

#include "pneumo/io/profile.h"

#include "hdf5.h"

/* Writes or reads the group /profile. */
pd_status pd_profile_put(const pd_hdf5 *file, const pd_profile *profile);
pd_status pd_profile_get(const pd_hdf5 *file, pd_profile *profile);

#endif
