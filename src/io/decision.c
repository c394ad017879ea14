#include "decision_internal.h"

#include "field.h"
#include "hdf5_attribute.h"

#include <math.h>

static const pd_field fields[] = {
    PD_FIELD(pd_decision, threshold, "threshold", REAL),
    PD_FIELD(pd_decision, target_sensitivity, "target_sensitivity", REAL),
    PD_FIELD(pd_decision, rule, "decision_rule", TEXT),
    PD_FIELD(pd_decision, fold, "decision_fold", TEXT),
    PD_FIELD(pd_decision, temperature, "temperature", REAL),
    PD_FIELD(pd_decision, refer_low, "refer_low", REAL),
    PD_FIELD(pd_decision, refer_high, "refer_high", REAL),
};
enum { FIELDS = sizeof fields / sizeof *fields };

pd_status pd_decision_put(const pd_hdf5 *file, const pd_decision *decision, int64_t test_looks)
{
    pd_status status = PD_OK;
    hid_t group = H5I_INVALID_HID;
    int64_t views = decision->views;
    PD_TRY(pd_hdf5_put_group(&group, file, file->id, "decision"));
    PD_TRY(pd_fields_put(file, group, fields, FIELDS, decision));
    PD_TRY(pd_hdf5_put_number(file, group, "test_looks", H5T_NATIVE_INT64, &test_looks));
    PD_TRY(pd_hdf5_put_number(file, group, "views", H5T_NATIVE_INT64, &views));

cleanup:
    pd_hdf5_close(&group);
    return status;
}

/* Version 0.1 stored whether logits are averaged over mirror images; it had no other views. */
static pd_status get_views(const pd_hdf5 *file, int *views)
{
    int mirrors = 0;
    if (H5Aexists_by_name(file->id, "/decision", "flip_average", H5P_DEFAULT) <= 0)
        return pd_hdf5_get_number(file, "/decision", "views", H5T_NATIVE_INT, views);
    pd_status status =
        pd_hdf5_get_number(file, "/decision", "flip_average", H5T_NATIVE_INT, &mirrors);
    *views = mirrors != 0 ? 2 : 1;
    return status;
}

/* What every reader of a decision relies on. A threshold above all scores can be just above 1. */
static pd_status check(const pd_hdf5 *file, const pd_decision *decision, int64_t test_looks)
{
    const double most = nextafter(1, 2), threshold = decision->threshold;
    if (!(threshold >= 0 && threshold <= most))
        return pd_hdf5_fail_read(file, "'/decision/threshold' is %g, which is not a probability",
                                 threshold);
    if (!(decision->refer_low >= 0 && decision->refer_low <= threshold &&
          decision->refer_high >= threshold && decision->refer_high <= most))
        return pd_hdf5_fail_read(file,
                                 "'/decision' has a band of doubt from %g to %g around the "
                                 "threshold %g, which is impossible",
                                 decision->refer_low, decision->refer_high, threshold);
    if (!(decision->target_sensitivity >= 0 && decision->target_sensitivity <= 1))
        return pd_hdf5_fail_read(file, "'/decision/target_sensitivity' is %g, not from 0 to 1",
                                 decision->target_sensitivity);
    if (!(decision->temperature > 0) || !isfinite(decision->temperature))
        return pd_hdf5_fail_read(file,
                                 "'/decision/temperature' is %g, which is not a positive number",
                                 decision->temperature);
    if (decision->views < 1 || test_looks < 0)
        return pd_hdf5_fail_read(file,
                                 "'/decision' has %d views and %lld evaluations of the test fold",
                                 decision->views, (long long)test_looks);
    return PD_OK;
}

pd_status pd_decision_get(const pd_hdf5 *file, pd_decision *decision, int64_t *test_looks)
{
    pd_status status = PD_OK;
    PD_TRY(pd_fields_get(file, "/decision", fields, FIELDS, decision));
    PD_TRY(pd_hdf5_get_number(file, "/decision", "test_looks", H5T_NATIVE_INT64, test_looks));
    PD_TRY(get_views(file, &decision->views));
    status = check(file, decision, *test_looks);

cleanup:
    return status;
}
