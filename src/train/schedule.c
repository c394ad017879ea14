#include "pneumo/train/schedule.h"

#include <math.h>

/* One-cycle starts at the peak divided by ONECYCLE_START, and rises over ONECYCLE_RISE of the run
 * unless the job sets a warm-up. */
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

static double constant_rate(const pd_schedule_spec *spec, int64_t step, int64_t epoch_steps)
{
    (void)step;
    (void)epoch_steps;
    return spec->learning_rate;
}

static double step_rate(const pd_schedule_spec *spec, int64_t step, int64_t epoch_steps)
{
    int64_t cuts = step / epoch_steps / spec->step_epochs;
    return spec->learning_rate * pow(spec->step_factor, (double)cuts);
}

static double cosine_rate(const pd_schedule_spec *spec, int64_t step, int64_t epoch_steps)
{
    double peak = spec->learning_rate;
    double warmup = spec->warmup_epochs * (double)epoch_steps;
    double last = (double)spec->epochs * (double)epoch_steps - 1.0;
    return cosine(peak, peak * spec->final_factor, position((double)step, warmup, last));
}

static double onecycle_rate(const pd_schedule_spec *spec, int64_t step, int64_t epoch_steps)
{
    double peak = spec->learning_rate;
    double total = spec->epochs * (double)epoch_steps;
    double rise =
        spec->warmup_epochs > 0 ? spec->warmup_epochs * (double)epoch_steps : ONECYCLE_RISE * total;
    double top = fmax(rise - 1.0, 0.0); /* the step at the peak */
    if ((double)step <= top)
        return cosine(peak / ONECYCLE_START, peak, position((double)step, 0.0, top));
    return cosine(peak, peak * spec->final_factor, position((double)step, top, total - 1.0));
}

const pd_schedule_type pd_schedule_types[PD_SCHEDULES] = {
    [PD_SCHEDULE_CONSTANT] = {"constant", .warms_up = true, constant_rate},
    [PD_SCHEDULE_STEP] = {"step", .warms_up = true, step_rate},
    [PD_SCHEDULE_COSINE] = {"cosine", .warms_up = true, cosine_rate},
    [PD_SCHEDULE_ONECYCLE] = {"onecycle", .warms_up = false, onecycle_rate},
};

int64_t pd_schedule_unfreeze_step(const pd_schedule_spec *spec, int64_t epoch_steps)
{
    return (int64_t)(spec->unfreeze_epoch - 1) * epoch_steps;
}

int pd_schedule_stage(const pd_schedule_spec *spec, int64_t step, int64_t epoch_steps)
{
    return spec->unfreeze_epoch > 0 && step >= pd_schedule_unfreeze_step(spec, epoch_steps);
}

/* The schedule of the stage of *step as that of a run, and *step counted in it. */
static pd_schedule_spec stage_spec(const pd_schedule_spec *spec, int64_t *step, int64_t epoch_steps)
{
    pd_schedule_spec stage = *spec;
    if (spec->unfreeze_epoch == 0)
        return stage;
    if (pd_schedule_stage(spec, *step, epoch_steps) == 0) {
        stage.epochs = spec->unfreeze_epoch - 1;
        return stage;
    }
    stage.epochs -= spec->unfreeze_epoch - 1;
    stage.learning_rate *= spec->unfreeze_factor;
    *step -= pd_schedule_unfreeze_step(spec, epoch_steps);
    return stage;
}

double pd_schedule_rate(const pd_schedule_spec *whole, int64_t step, int64_t epoch_steps)
{
    const pd_schedule_spec own = stage_spec(whole, &step, epoch_steps), *spec = &own;
    const pd_schedule_type *type = &pd_schedule_types[spec->kind];
    double warmup = spec->warmup_epochs * (double)epoch_steps;
    if (type->warms_up && (double)step < warmup)
        return spec->learning_rate * fmin(((double)step + 1.0) / warmup, 1.0);
    return type->rate(spec, step, epoch_steps);
}
