#include "pneumo/train/schedule.h"

#include <math.h>

/* One-cycle starts at the peak over ONECYCLE_START, and rises over this share of the run. */
static const double ONECYCLE_START = 25.0;
static const double ONECYCLE_RISE = 0.3;

/* From `from` at t = 0 to `to` at t = 1 along half a cosine; constant outside. */
static double cosine(double from, double to, double t)
{
    t = fmin(fmax(t, 0.0), 1.0);
    return to + (from - to) * 0.5 * (1.0 + cos(M_PI * t));
}

/* Position of `step` between `first` and `last`; 1 if there is nothing between. */
static double position(double step, double first, double last)
{
    return last > first ? (step - first) / (last - first) : 1.0;
}

static double onecycle_rate(const pd_job *job, double step, double epoch_steps)
{
    double peak = job->learning_rate;
    double total = job->epochs * epoch_steps;
    double rise = job->warmup_epochs > 0 ? job->warmup_epochs * epoch_steps : ONECYCLE_RISE * total;
    double top = fmax(rise - 1.0, 0.0); /* the step at the peak */
    if (step <= top)
        return cosine(peak / ONECYCLE_START, peak, position(step, 0.0, top));
    return cosine(peak, peak * job->final_factor, position(step, top, total - 1.0));
}

double pd_schedule_rate(const pd_job *job, int64_t step, int64_t epoch_steps)
{
    double peak = job->learning_rate;
    double warmup = job->warmup_epochs * (double)epoch_steps;
    double last = (double)job->epochs * (double)epoch_steps - 1.0;

    if (job->schedule == PD_SCHEDULE_ONECYCLE)
        return onecycle_rate(job, (double)step, (double)epoch_steps);
    if ((double)step < warmup)
        return peak * fmin(((double)step + 1.0) / warmup, 1.0);
    switch (job->schedule) {
    case PD_SCHEDULE_STEP:
        return peak * pow(job->step_factor, (double)(step / epoch_steps / job->step_epochs));
    case PD_SCHEDULE_COSINE:
        return cosine(peak, peak * job->final_factor, position((double)step, warmup, last));
    default:
        return peak;
    }
}
