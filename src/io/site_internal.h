/* pd_site as content of a checkpoint file. */
#ifndef PNEUMO_IO_SITE_INTERNAL_H
#define PNEUMO_IO_SITE_INTERNAL_H

#include "pneumo/io/site.h"

#include "hdf5.h"

/* Writes the group /calibration, unless site->count is 0. */
pd_status pd_site_put(const pd_hdf5 *file, const pd_site *site);

/* Reads it; without that group *site is left as it is. The caller frees site->images. */
pd_status pd_site_get(const pd_hdf5 *file, pd_site *site);

#endif
