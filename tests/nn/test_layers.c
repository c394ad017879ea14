#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "kernels/pairs_internal.h"
#include "nn/registry.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/random.h"

#include <math.h>

/* Two lanes, so that tests can tell samples of one lane from those of another. */
enum { LANES = 2 };

/* The lane sum of a rank that holds all lanes. */
static pd_status serial_lane_sum(void *context, double *parts, size_t count, double *total)
{
    int lanes = *(int *)context;
    for (size_t j = 0; j < count; j++) {
        total[j] = 0;
        for (int lane = 0; lane < lanes; lane++)
            total[j] += parts[(size_t)lane * count + j];
    }
    return PD_OK;
}

/* A layer with the buffers that a network provides. */
typedef struct rig {
    pd_layer layer;
    pd_exec exec;
    int lanes, samples;
    float *x[PD_LAYER_INPUTS], *dx[PD_LAYER_INPUTS], *y, *dy, *dy_scratch, *gradient, *prepared,
        *workspace;
    void *saved;
    size_t in_size, out_size; /* of all samples */
} rig;

static void *make(size_t count, size_t size)
{
    void *block;
    assert_int_equal(pd_alloc(&block, count, size), PD_OK);
    return block;
}

/* Of forward and backward, which have the same in this test. */
static size_t workspace_floats(const rig *r)
{
    size_t forward = r->layer.workspace_floats, backward = r->layer.backward_floats;
    return forward > backward ? forward : backward;
}

static void rig_open_as(rig *r, pd_precision precision, const char *type, pd_layer_spec spec,
                        pd_shape in, pd_plan plan)
{
    memset(r, 0, sizeof *r);
    r->lanes = plan.lanes;
    r->samples = plan.lanes * plan.lane_samples;
    r->layer.type = pd_layer_type_find(type);
    assert_non_null(r->layer.type);
    r->layer.name = (char *)type;
    r->layer.index = 3;
    r->layer.spec = spec;
    r->layer.precision = precision;
    for (int i = 0; i < r->layer.type->inputs; i++)
        r->layer.in[i] = in;
    if (r->layer.type->plan(&r->layer, &plan) != PD_OK)
        fail_msg("%s: %s", type, pd_error_message());
    for (int i = 0; i < r->layer.param_count; i++) {
        pd_param *param = &r->layer.params[i];
        size_t size = pd_param_size(param);
        param->value = make(size, sizeof *param->value);
        if (strcmp(param->name, "moving_variance") == 0)
            for (size_t j = 0; j < size; j++)
                param->value[j] = 1;
    }
    r->in_size = (size_t)r->samples * pd_shape_size(in);
    r->out_size = (size_t)r->samples * pd_shape_size(r->layer.out);
    for (int i = 0; i < r->layer.type->inputs; i++) {
        r->x[i] = make(r->in_size, sizeof(float));
        r->dx[i] = make(r->in_size, sizeof(float));
    }
    r->y = make(r->out_size, sizeof(float));
    r->dy = make(r->out_size, sizeof(float));
    r->dy_scratch = make(r->out_size, sizeof(float));
    r->gradient = make((size_t)plan.lanes * pd_layer_trainable(&r->layer), sizeof(float));
    r->prepared = make(r->layer.prepared_floats, sizeof(float));
    r->workspace = make(workspace_floats(r), sizeof(float));
    r->saved = make(r->layer.saved_bytes, 1);
    r->exec = (pd_exec){.training = true,
                        .lanes = plan.lanes,
                        .lane_samples = plan.lane_samples,
                        .total_lanes = plan.total_lanes,
                        .seed = 5,
                        .step = 7,
                        .threads = plan.threads,
                        .prepared = r->prepared,
                        .workspace = r->workspace,
                        .lane_sum = serial_lane_sum,
                        .lane_sum_context = &r->lanes};
}

static void rig_open(rig *r, const char *type, pd_layer_spec spec, pd_shape in, pd_plan plan)
{
    rig_open_as(r, PD_FLOAT32, type, spec, in, plan);
}

static void rig_close(rig *r)
{
    for (int i = 0; i < r->layer.param_count; i++)
        free(r->layer.params[i].value);
    for (int i = 0; i < PD_LAYER_INPUTS; i++) {
        free(r->x[i]);
        free(r->dx[i]);
    }
    free(r->y);
    free(r->dy);
    free(r->dy_scratch);
    free(r->gradient);
    free(r->prepared);
    free(r->workspace);
    free(r->saved);
}

/* An array of the rig as the layer takes it; the copies are released by put_back. */
static void *lend(const rig *r, float *array, size_t count)
{
    if (r->layer.precision == PD_FLOAT32 || array == NULL)
        return array;
    pd_bf16 *copy = make(count, sizeof *copy);
    pd_precision_round(count, array, copy, 1);
    return copy;
}

static void put_back(const rig *r, const void *lent, float *array, size_t count)
{
    if (r->layer.precision == PD_FLOAT32 || array == NULL)
        return;
    pd_precision_widen(count, lent, array, 1);
    free((void *)lent);
}

static void rig_forward(rig *r)
{
    const void *x[PD_LAYER_INPUTS] = {lend(r, r->x[0], r->in_size), lend(r, r->x[1], r->in_size)};
    void *saved = r->exec.training ? r->saved : NULL, *y = lend(r, r->y, r->out_size);
    if (r->layer.type->prepare != NULL)
        r->layer.type->prepare(&r->layer, r->exec.threads, r->prepared);
    assert_int_equal(r->layer.type->forward(&r->layer, &r->exec, x, y, saved), PD_OK);
    for (int i = 0; i < PD_LAYER_INPUTS; i++)
        put_back(r, x[i], r->x[i], r->in_size);
    put_back(r, y, r->y, r->out_size);
}

/* Gives the layer only the arrays that its plan asks for. */
static void rig_backward(rig *r)
{
    bool keeps = r->layer.keeps_input;
    float *kept[PD_LAYER_INPUTS] = {keeps ? r->x[0] : NULL, keeps ? r->x[1] : NULL};
    float *y = r->layer.keeps_output ? r->y : NULL;
    memcpy(r->dy_scratch, r->dy, r->out_size * sizeof *r->dy);
    pd_backward arrays = {.y = lend(r, y, r->out_size),
                          .dy = lend(r, r->dy_scratch, r->out_size),
                          .gradient = r->gradient,
                          .saved = r->saved};
    for (int i = 0; i < PD_LAYER_INPUTS; i++) {
        arrays.x[i] = lend(r, kept[i], r->in_size);
        arrays.dx[i] = lend(r, r->dx[i], r->in_size);
    }
    memset(r->workspace, 0xFF, workspace_floats(r) * sizeof *r->workspace);
    assert_int_equal(r->layer.type->backward(&r->layer, &r->exec, &arrays), PD_OK);
    put_back(r, arrays.y, y, r->out_size);
    put_back(r, arrays.dy, r->dy_scratch, r->out_size);
    for (int i = 0; i < PD_LAYER_INPUTS; i++) {
        put_back(r, arrays.x[i], kept[i], r->in_size);
        put_back(r, arrays.dx[i], r->dx[i], r->in_size);
    }
}

static float *rig_param(rig *r, const char *name)
{
    for (int i = 0; i < r->layer.param_count; i++)
        if (strcmp(r->layer.params[i].name, name) == 0)
            return r->layer.params[i].value;
    return NULL;
}

/* --- Against PyTorch --- */

/* Largest difference at most 1e-5 of the largest value: float against double. */
static void assert_golden(const golden_case *golden, const char *name, const float *got)
{
    const golden_array *want = golden_find(golden, name);
    assert_non_null(want);
    double largest = 0, error = 0;
    for (size_t i = 0; i < want->size; i++) {
        largest = fmax(largest, fabs((double)want->data[i]));
        error = fmax(error, fabs((double)got[i] - want->data[i]));
        if (isnan(got[i]))
            fail_msg("%s: %s contains NaN", golden->name, name);
    }
    if (error > 1e-5 * fmax(largest, 1e-2))
        fail_msg("%s: %s differs by up to %g; its largest value is %g", golden->name, name, error,
                 largest);
}

static pd_layer_spec golden_spec(const golden_case *golden)
{
    return (pd_layer_spec){
        .units = (int)golden_number(golden, "units"),
        .kernel_h = (int)golden_number(golden, "kernel_h"),
        .kernel_w = (int)golden_number(golden, "kernel_w"),
        .stride = (int)golden_number(golden, "stride"),
        .padding = golden_number(golden, "padding") != 0 ? PD_VALID : PD_SAME,
        .relu = golden_number(golden, "relu") != 0,
        .relu_first = golden_number(golden, "relu_first") != 0,
        .no_bias = golden_number(golden, "no_bias") != 0,
        .momentum = (float)golden_number(golden, "momentum"),
        .epsilon = (float)golden_number(golden, "epsilon"),
        .slope = (float)golden_number(golden, "slope"),
        .limit = (float)golden_number(golden, "limit"),
        .alpha = (float)golden_number(golden, "alpha"),
        .pad = {(int)golden_number(golden, "pad_top"), (int)golden_number(golden, "pad_bottom"),
                (int)golden_number(golden, "pad_left"), (int)golden_number(golden, "pad_right")},
        .scope = golden_number(golden, "scope") != 0 ? PD_NORM_LANE : PD_NORM_BATCH};
}

/* Backward: dx, the sum over the lanes of each gradient, and the state after the step. */
static void check_golden_backward(rig *r, const golden_case *golden)
{
    memcpy(r->dy, golden_find(golden, "dy")->data, r->out_size * sizeof *r->dy);
    rig_backward(r);
    for (int i = 0; i < r->layer.type->inputs; i++)
        assert_golden(golden, i == 0 ? "dx0" : "dx1", r->dx[i]);
    size_t trainable = pd_layer_trainable(&r->layer);
    for (size_t j = 0; j < trainable; j++)
        r->gradient[j] += r->gradient[trainable + j];
    const float *gradient = r->gradient;
    for (int i = 0; i < r->layer.param_count; i++) {
        char name[GOLDEN_NAME];
        const pd_param *param = &r->layer.params[i];
        if (param->trainable) {
            snprintf(name, sizeof name, "d%s", param->name);
            assert_golden(golden, name, gradient);
            gradient += pd_param_size(param);
        } else {
            snprintf(name, sizeof name, "%s_after", param->name);
            assert_golden(golden, name, param->value);
        }
    }
}

static void check_golden_case(const golden_case *golden)
{
    const golden_array *x = golden_find(golden, "x0"), *y = golden_find(golden, "y");
    bool training = golden_number(golden, "training") != 0;
    pd_shape in = {x->dims[1], x->dims[2], x->dims[3]};
    rig r;
    rig_open(&r, golden->type, golden_spec(golden), in,
             (pd_plan){LANES, x->dims[0] / LANES, LANES, 2});
    assert_int_equal(r.out_size, y->size);
    assert_int_equal(r.layer.out.c, y->dims[3]);
    assert_int_equal(r.layer.out.h, y->dims[1]);
    for (int i = 0; i < r.layer.type->inputs; i++) {
        const golden_array *input = golden_find(golden, i == 0 ? "x0" : "x1");
        memcpy(r.x[i], input->data, input->size * sizeof *input->data);
    }
    for (int i = 0; i < r.layer.param_count; i++) {
        const golden_array *value = golden_find(golden, r.layer.params[i].name);
        assert_non_null(value);
        assert_int_equal(value->size, pd_param_size(&r.layer.params[i]));
        memcpy(r.layer.params[i].value, value->data, value->size * sizeof *value->data);
    }
    if (!training) {
        r.exec.training = false;
        r.exec.lanes = 1;
        r.exec.lane_samples = r.samples;
    }
    rig_forward(&r);
    assert_golden(golden, "y", r.y);
    if (training)
        check_golden_backward(&r, golden);
    rig_close(&r);
}

static void test_golden(void **state)
{
    (void)state;
    FILE *file = golden_open("layers.golden");
    golden_case golden;
    int cases = 0;
    while (golden_next(file, &golden)) {
        check_golden_case(&golden);
        golden_free(&golden);
        cases++;
    }
    fclose(file);
    assert_int_equal(cases, 49);
}

/* --- Layers for the tests below --- */

/* Data of a trial: NORMAL, or chosen to keep a ReLU or a maximum away from its kinks. */
typedef enum fill { NORMAL, AWAY_FROM_ZERO, DISTINCT } fill;

typedef struct trial {
    const char *type;
    pd_layer_spec spec;
    pd_shape in;
    fill fill;
} trial;

static const trial trials[] = {
    {"conv", {.units = 4, .kernel_h = 3, .kernel_w = 3}, {5, 4, 3}, NORMAL},
    {"conv",
     {.units = 3, .kernel_h = 3, .kernel_w = 3, .stride = 2, .relu = true},
     {5, 6, 2},
     NORMAL},
    {"conv", {.units = 5, .kernel_h = 1, .kernel_w = 1, .no_bias = true}, {3, 3, 4}, NORMAL},
    {"separable", {.units = 4, .kernel_h = 3, .kernel_w = 3, .no_bias = true}, {5, 6, 3}, NORMAL},
    {"separable",
     {.units = 3, .kernel_h = 3, .kernel_w = 3, .relu_first = true},
     {4, 5, 5},
     AWAY_FROM_ZERO},
    {"separable",
     {.units = 4, .kernel_h = 3, .kernel_w = 2, .stride = 2, .relu = true},
     {5, 4, 3},
     NORMAL},
    {"dense", {.units = 5, .relu = true}, {1, 1, 7}, NORMAL},
    {"dense", {.units = 1}, {1, 1, 9}, NORMAL},
    {"maxpool", {.kernel_h = 2, .kernel_w = 2, .padding = PD_VALID}, {5, 4, 3}, DISTINCT},
    {"maxpool", {.kernel_h = 3, .kernel_w = 3, .stride = 2}, {5, 4, 3}, DISTINCT},
    {"maxpool", {.kernel_h = 2, .kernel_w = 2, .relu = true}, {5, 4, 3}, DISTINCT},
    {"avgpool", {.kernel_h = 2, .kernel_w = 2}, {5, 4, 3}, NORMAL},
    {"avgpool", {.kernel_h = 3, .kernel_w = 3, .stride = 2}, {4, 5, 3}, NORMAL},
    {"globalpool", {.units = 0}, {3, 4, 5}, NORMAL},
    {"batchnorm", {.scope = PD_NORM_BATCH}, {2, 2, 3}, NORMAL},
    {"batchnorm", {.scope = PD_NORM_BATCH, .relu = true}, {2, 2, 4}, NORMAL},
    {"batchnorm", {.scope = PD_NORM_LANE}, {2, 2, 3}, NORMAL},
    {"dropout", {.rate = 0.4f}, {3, 3, 5}, NORMAL},
    {"relu", {.units = 0}, {3, 3, 5}, AWAY_FROM_ZERO},
    {"flatten", {.units = 0}, {3, 2, 4}, NORMAL},
    {"add", {.units = 0}, {3, 2, 4}, NORMAL},
    {"add", {.relu = true}, {3, 2, 4}, AWAY_FROM_ZERO},
    {"depthwise", {.kernel_h = 3, .kernel_w = 3, .no_bias = true}, {5, 6, 3}, NORMAL},
    {"depthwise", {.kernel_h = 3, .kernel_w = 2, .stride = 2, .relu = true}, {5, 4, 5}, NORMAL},
    {"rectifier", {.slope = 0.3f}, {3, 3, 5}, AWAY_FROM_ZERO},
    {"rectifier", {.slope = 0.1f, .limit = 0.25f}, {5, 4, 3}, AWAY_FROM_ZERO},
    {"elu", {.alpha = 1}, {3, 3, 5}, AWAY_FROM_ZERO},
    {"sigmoid", {.units = 0}, {3, 3, 5}, NORMAL},
    {"concat", {.units = 0}, {3, 2, 4}, NORMAL},
    {"zeropad", {.pad = {1, 0, 2, 3}}, {3, 2, 4}, NORMAL},
    {"globalmax", {.units = 0}, {5, 4, 3}, DISTINCT},
};
enum { TRIALS = sizeof trials / sizeof *trials };

static void fill_normal(float *values, size_t count, pd_random *random, float scale)
{
    for (size_t i = 0; i < count; i++)
        values[i] = scale * pd_random_normal(random);
}

/* Inputs, params and dy from the seed. */
static void rig_fill(rig *r, const trial *t, uint64_t seed)
{
    pd_random random = pd_random_stream(seed, PD_PURPOSE_TEST, 0, 0);
    for (int i = 0; i < r->layer.type->inputs; i++) {
        fill_normal(r->x[i], r->in_size, &random, 1);
        for (size_t k = 0; k < r->in_size; k++) {
            if (t->fill == DISTINCT) /* elements of a window differ by at least 0.1 */
                r->x[i][k] = 0.1f * (float)(k * 37 % 241) - 12;
            else if (t->fill == AWAY_FROM_ZERO) /* both inputs have the same sign */
                r->x[i][k] = (k % 3 == 0 ? -1 : 1) * (0.5f + fabsf(r->x[i][k]));
        }
    }
    for (int i = 0; i < r->layer.param_count; i++) {
        pd_param *param = &r->layer.params[i];
        if (param->trainable)
            fill_normal(param->value, pd_param_size(param), &random, 0.3f);
    }
    /* Before a ReLU each channel is far from 0, on one side. */
    float *bias = rig_param(r, "bias") != NULL ? rig_param(r, "bias") : rig_param(r, "beta");
    if (t->spec.relu && bias != NULL)
        for (int k = 0; k < r->layer.out.c; k++)
            bias[k] = k % 2 == 0 ? 6 : -6;
    fill_normal(r->dy, r->out_size, &random, 1);
}

/* Sum of y * dy over one lane, or over all with lane < 0. */
static double loss(rig *r, int lane)
{
    rig_forward(r);
    size_t part = r->out_size / (size_t)r->lanes;
    size_t first = lane < 0 ? 0 : (size_t)lane * part, end = lane < 0 ? r->out_size : first + part;
    double sum = 0;
    for (size_t i = first; i < end; i++)
        sum += (double)r->y[i] * r->dy[i];
    return sum;
}

/* Central difference of the loss by *value. The step of 1/64 is exact in float. */
static double slope(rig *r, float *value, int lane)
{
    const float step = 0.015625f, kept = *value;
    *value = kept + step;
    double up = loss(r, lane), high = *value;
    *value = kept - step;
    double down = loss(r, lane), low = *value;
    *value = kept;
    return (up - down) / (high - low);
}

/* Within 0.5 percent of the largest slope of the array: enough for the third derivative of
 * batchnorm and for float sums; a missing term is larger. */
static void assert_slopes(const trial *t, const char *what, const double *numeric,
                          const float *analytic, size_t count)
{
    double largest = 0, error = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(analytic[i]))
            fail_msg("%s: gradient of %s contains NaN", t->type, what);
        largest = fmax(largest, fabs(numeric[i]));
        error = fmax(error, fabs(numeric[i] - analytic[i]));
    }
    if (!(error <= 5e-3 * fmax(largest, 0.1)))
        fail_msg("%s: gradient of %s differs by up to %g; its largest value is %g", t->type, what,
                 error, largest);
}

static void test_numeric_gradients(void **state)
{
    (void)state;
    for (int k = 0; k < TRIALS; k++) {
        const trial *t = &trials[k];
        rig r;
        rig_open(&r, t->type, t->spec, t->in, (pd_plan){LANES, 3, LANES, 1});
        rig_fill(&r, t, (uint64_t)k);
        rig_forward(&r);
        rig_backward(&r);
        double *numeric = make(r.in_size, sizeof(double));
        for (int i = 0; i < r.layer.type->inputs; i++) {
            for (size_t j = 0; j < r.in_size; j++)
                numeric[j] = slope(&r, &r.x[i][j], -1);
            assert_slopes(t, "x", numeric, r.dx[i], r.in_size);
        }
        free(numeric);
        for (int lane = 0; lane < LANES; lane++) {
            const float *gradient = r.gradient + (size_t)lane * pd_layer_trainable(&r.layer);
            for (int i = 0; i < r.layer.param_count; i++) {
                const pd_param *param = &r.layer.params[i];
                if (!param->trainable)
                    continue;
                size_t size = pd_param_size(param);
                numeric = make(size, sizeof(double));
                for (size_t j = 0; j < size; j++)
                    numeric[j] = slope(&r, &param->value[j], lane);
                assert_slopes(t, param->name, numeric, gradient, size);
                free(numeric);
                gradient += size;
            }
        }
        rig_close(&r);
    }
}

/* --- Bfloat16 against floats --- */

/* Of sizes that take every kernel, with pairs of channels and without, and with remainders. */
static const trial rounded_trials[] = {
    {"conv", {.units = 20, .kernel_h = 3, .kernel_w = 3, .relu = true}, {13, 14, 18}, NORMAL},
    {"conv", {.units = 37, .kernel_h = 3, .kernel_w = 3, .stride = 2}, {9, 8, 5}, NORMAL},
    {"conv", {.units = 50, .kernel_h = 1, .kernel_w = 1}, {19, 17, 34}, NORMAL},
    {"conv", {.units = 33, .kernel_h = 1, .kernel_w = 1, .no_bias = true}, {7, 9, 21}, NORMAL},
    {"conv", {.units = 18, .kernel_h = 1, .kernel_w = 1, .stride = 2}, {9, 8, 20}, NORMAL},
    {"separable", {.units = 50, .kernel_h = 3, .kernel_w = 3}, {12, 11, 38}, NORMAL},
    {"separable",
     {.units = 17, .kernel_h = 3, .kernel_w = 3, .relu_first = true},
     {6, 7, 19},
     NORMAL},
    {"depthwise", {.kernel_h = 3, .kernel_w = 3, .stride = 2}, {8, 9, 35}, NORMAL},
    {"depthwise", {.kernel_h = 3, .kernel_w = 3, .relu = true}, {8, 9, 7}, NORMAL},
    {"batchnorm", {.scope = PD_NORM_BATCH, .relu = true}, {9, 11, 40}, NORMAL},
    {"batchnorm", {.scope = PD_NORM_LANE}, {5, 4, 9}, NORMAL},
    {"maxpool", {.kernel_h = 3, .kernel_w = 3, .stride = 2}, {9, 8, 24}, NORMAL},
    {"maxpool", {.kernel_h = 2, .kernel_w = 2, .relu = true}, {6, 6, 5}, NORMAL},
    {"globalpool", {.units = 0}, {7, 6, 18}, NORMAL},
    {"add", {.relu = true}, {6, 7, 19}, NORMAL},
    {"relu", {.units = 0}, {6, 7, 19}, NORMAL},
    {"flatten", {.units = 0}, {3, 2, 4}, NORMAL},
};
enum { ROUNDED_TRIALS = sizeof rounded_trials / sizeof *rounded_trials };

/* Within a hundredth of the largest value: bfloat16 has 8 bits, and a sum of many rounded terms
 * differs by less than its largest term's rounding. */
static void assert_close(const trial *t, const char *what, const float *got, const float *want,
                         size_t count)
{
    double largest = 0, error = 0;
    for (size_t i = 0; i < count; i++) {
        if (isnan(got[i]))
            fail_msg("%s: %s contains NaN", t->type, what);
        largest = fmax(largest, fabs((double)want[i]));
        error = fmax(error, fabs((double)got[i] - want[i]));
    }
    if (error > 0.01 * largest)
        fail_msg("%s: %s differs by up to %g; its largest value is %g", t->type, what, error,
                 largest);
}

static void round_in_place(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = pd_bf16_widen(pd_bf16_round(values[i]));
}

/* Inputs that bfloat16 represents, so that only what the layer computes is rounded. */
static void rig_fill_rounded(rig *r, const trial *t, uint64_t seed)
{
    rig_fill(r, t, seed);
    for (int i = 0; i < r->layer.type->inputs; i++)
        round_in_place(r->x[i], r->in_size);
    round_in_place(r->dy, r->out_size);
}

static void check_rounded(const trial *t, uint64_t seed)
{
    const pd_plan plan = {LANES, 3, LANES, 2};
    rig floats, rounded;
    rig_open(&floats, t->type, t->spec, t->in, plan);
    rig_open_as(&rounded, PD_BF16, t->type, t->spec, t->in, plan);
    assert_true(rounded.layer.type->takes_bf16);
    rig *both[] = {&floats, &rounded};
    for (int i = 0; i < 2; i++) {
        rig_fill_rounded(both[i], t, seed);
        rig_forward(both[i]);
        rig_backward(both[i]);
    }
    assert_close(t, "y", rounded.y, floats.y, floats.out_size);
    for (int i = 0; i < floats.layer.type->inputs; i++)
        assert_close(t, "dx", rounded.dx[i], floats.dx[i], floats.in_size);
    const size_t trainable = pd_layer_trainable(&floats.layer);
    for (int lane = 0; lane < LANES; lane++) {
        size_t first = (size_t)lane * trainable;
        for (int i = 0; i < floats.layer.param_count; i++) {
            const pd_param *param = &floats.layer.params[i];
            if (!param->trainable)
                continue;
            assert_close(t, param->name, rounded.gradient + first, floats.gradient + first,
                         pd_param_size(param));
            first += pd_param_size(param);
        }
    }
    rig_close(&floats);
    rig_close(&rounded);
}

/* With and without the processor's products of pairs. */
static void test_bf16_is_close_to_floats(void **state)
{
    (void)state;
    for (int forbid = 0; forbid < 2; forbid++) {
        pd_pairs_forbid(forbid);
        for (int k = 0; k < ROUNDED_TRIALS; k++)
            check_rounded(&rounded_trials[k], (uint64_t)k);
    }
    pd_pairs_forbid(false);
}

/* Layers that only choose, or add two numbers, round the result of floats. */
static void test_bf16_rounds_once(void **state)
{
    (void)state;
    static const char *const exact[] = {"maxpool", "add", "relu", "flatten"};
    int checked = 0;
    for (int k = 0; k < ROUNDED_TRIALS; k++) {
        const trial *t = &rounded_trials[k];
        bool chosen = false;
        for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
            chosen = chosen || strcmp(t->type, exact[i]) == 0;
        if (!chosen)
            continue;
        rig floats, rounded;
        rig_open(&floats, t->type, t->spec, t->in, (pd_plan){LANES, 3, LANES, 1});
        rig_open_as(&rounded, PD_BF16, t->type, t->spec, t->in, (pd_plan){LANES, 3, LANES, 1});
        rig_fill_rounded(&floats, t, 7);
        rig_fill_rounded(&rounded, t, 7);
        rig_forward(&floats);
        rig_forward(&rounded);
        round_in_place(floats.y, floats.out_size);
        assert_memory_equal(floats.y, rounded.y, floats.out_size * sizeof *floats.y);
        rig_close(&floats);
        rig_close(&rounded);
        checked++;
    }
    assert_int_equal(checked, 5);
}

static void assert_same_bits(const trial *t, const void *a, const void *b, size_t count)
{
    if (memcmp(a, b, count * sizeof(float)) != 0)
        fail_msg("%s: the bits differ", t->type);
}

static void assert_rigs_equal(const trial *t, rig *a, rig *b)
{
    assert_same_bits(t, a->y, b->y, a->out_size);
    for (int i = 0; i < a->layer.type->inputs; i++)
        assert_same_bits(t, a->dx[i], b->dx[i], a->in_size);
    assert_same_bits(t, a->gradient, b->gradient, (size_t)a->lanes * pd_layer_trainable(&a->layer));
    for (int i = 0; i < a->layer.param_count; i++)
        assert_same_bits(t, a->layer.params[i].value, b->layer.params[i].value,
                         pd_param_size(&a->layer.params[i]));
}

/* Trial `k` of all: those of floats, then those of bfloat16. */
enum { ALL_TRIALS = TRIALS + ROUNDED_TRIALS };

static const trial *any_trial(int k, pd_precision *precision)
{
    *precision = k < TRIALS ? PD_FLOAT32 : PD_BF16;
    return k < TRIALS ? &trials[k] : &rounded_trials[k - TRIALS];
}

static void test_threads_do_not_change_bits(void **state)
{
    (void)state;
    for (int k = 0; k < ALL_TRIALS; k++) {
        pd_precision precision;
        const trial *t = any_trial(k, &precision);
        pd_shape in = t->in;
        if (in.h > 1) { /* large enough for several blocks of work */
            in.h += 18;
            in.w += 19;
        }
        rig one;
        rig_open_as(&one, precision, t->type, t->spec, in, (pd_plan){LANES, 3, LANES, 1});
        rig_fill(&one, t, (uint64_t)k);
        rig_forward(&one);
        rig_backward(&one);
        for (int threads = 2; threads <= 3; threads++) {
            rig more;
            rig_open_as(&more, precision, t->type, t->spec, in,
                        (pd_plan){LANES, 3, LANES, threads});
            rig_fill(&more, t, (uint64_t)k);
            rig_forward(&more);
            rig_backward(&more);
            assert_rigs_equal(t, &one, &more);
            rig_close(&more);
        }
        rig_close(&one);
    }
}

/* Two ranks of one lane each, run one after the other. The first round records the parts of each
 * rank's lane sums, the second returns the totals. */
typedef struct two_ranks {
    int rank, call;
    bool recorded;
    double parts[LANES][4][128];
} two_ranks;

static pd_status two_ranks_lane_sum(void *context, double *parts, size_t count, double *total)
{
    two_ranks *ranks = context;
    int call = ranks->call++;
    assert_true(call < 4 && count <= 128);
    memcpy(ranks->parts[ranks->rank][call], parts, count * sizeof(double));
    for (size_t j = 0; j < count; j++)
        total[j] = ranks->recorded ? ranks->parts[0][call][j] + ranks->parts[1][call][j] : parts[j];
    return PD_OK;
}

/* Runs lane `rank` of `both` on a rank of its own. */
static void run_rank(const trial *t, const rig *both, two_ranks *ranks, int rank, rig *one)
{
    rig_open_as(one, both->layer.precision, t->type, t->spec, t->in, (pd_plan){1, 3, LANES, 2});
    one->exec.lane_sum = two_ranks_lane_sum;
    one->exec.lane_sum_context = ranks;
    one->exec.first_sample = rank * 3;
    for (int i = 0; i < one->layer.type->inputs; i++)
        memcpy(one->x[i], both->x[i] + (size_t)rank * one->in_size,
               one->in_size * sizeof *one->x[i]);
    memcpy(one->dy, both->dy + (size_t)rank * one->out_size, one->out_size * sizeof *one->dy);
    for (int i = 0; i < one->layer.param_count; i++) {
        const pd_param *param = &both->layer.params[i];
        if (param->trainable)
            memcpy(one->layer.params[i].value, param->value,
                   pd_param_size(param) * sizeof *param->value);
    }
    ranks->rank = rank;
    ranks->call = 0;
    rig_forward(one);
    rig_backward(one);
}

static void assert_lane_equal(const trial *t, const rig *both, const rig *one, int rank)
{
    size_t lane = (size_t)rank, trainable = pd_layer_trainable(&one->layer);
    assert_same_bits(t, one->y, both->y + lane * one->out_size, one->out_size);
    for (int i = 0; i < one->layer.type->inputs; i++)
        assert_same_bits(t, one->dx[i], both->dx[i] + lane * one->in_size, one->in_size);
    assert_same_bits(t, one->gradient, both->gradient + lane * trainable, trainable);
    for (int i = 0; i < one->layer.param_count; i++)
        assert_same_bits(t, one->layer.params[i].value, both->layer.params[i].value,
                         pd_param_size(&one->layer.params[i]));
}

/* A lane's bits do not depend on the rank that computes it. */
static void test_ranks_do_not_change_bits(void **state)
{
    (void)state;
    for (int k = 0; k < ALL_TRIALS; k++) {
        pd_precision precision;
        const trial *t = any_trial(k, &precision);
        rig both, one;
        rig_open_as(&both, precision, t->type, t->spec, t->in, (pd_plan){LANES, 3, LANES, 2});
        rig_fill(&both, t, (uint64_t)k);
        rig_forward(&both);
        rig_backward(&both);
        two_ranks ranks = {0};
        /* Backward's lane sum is right only once forward's is: that takes three rounds. */
        for (int round = 0; round < 3; round++) {
            ranks.recorded = round > 0;
            for (int rank = 0; rank < LANES; rank++) {
                run_rank(t, &both, &ranks, rank, &one);
                if (round == 2)
                    assert_lane_equal(t, &both, &one, rank);
                rig_close(&one);
            }
        }
        rig_close(&both);
    }
}

/* The first layer of a network needs no dx. */
static void test_dx_is_optional(void **state)
{
    (void)state;
    for (int k = 0; k < TRIALS; k++) {
        const trial *t = &trials[k];
        rig with, without;
        rig_open(&with, t->type, t->spec, t->in, (pd_plan){LANES, 2, LANES, 1});
        rig_open(&without, t->type, t->spec, t->in, (pd_plan){LANES, 2, LANES, 1});
        rig_fill(&with, t, (uint64_t)k);
        rig_fill(&without, t, (uint64_t)k);
        rig_forward(&with);
        rig_forward(&without);
        rig_backward(&with);
        for (int i = 0; i < PD_LAYER_INPUTS; i++) {
            free(without.dx[i]);
            without.dx[i] = NULL;
        }
        rig_backward(&without);
        assert_same_bits(t, with.gradient, without.gradient,
                         LANES * pd_layer_trainable(&with.layer));
        rig_close(&with);
        rig_close(&without);
    }
}

static void test_dropout_mask(void **state)
{
    (void)state;
    const pd_layer_spec spec = {.rate = 0.3f};
    const pd_shape in = {50, 41, 3};
    const size_t size = pd_shape_size(in);
    rig all, tail;
    rig_open(&all, "dropout", spec, in, (pd_plan){4, 2, 4, 2});
    rig_open(&tail, "dropout", spec, in, (pd_plan){1, 2, 4, 1});
    for (size_t i = 0; i < all.in_size; i++)
        all.x[0][i] = 1;
    for (size_t i = 0; i < tail.in_size; i++)
        tail.x[0][i] = 1;

    /* Lane 3 alone, on another rank with other threads, has the same mask. */
    rig_forward(&all);
    tail.exec.first_sample = 6;
    rig_forward(&tail);
    assert_memory_equal(tail.y, all.y + 6 * size, tail.out_size * sizeof(float));

    /* 7 in 10 are kept, and the mean remains 1; both within 5 standard deviations. */
    double kept = 0, sum = 0, n = (double)all.out_size;
    for (size_t i = 0; i < all.out_size; i++) {
        kept += all.y[i] != 0;
        sum += all.y[i];
    }
    assert_true(fabs(kept / n - 0.7) < 5 * sqrt(0.3 * 0.7 / n));
    assert_true(fabs(sum / n - 1) < 5 * sqrt(0.3 / 0.7 / n));

    /* The mask depends on sample, step, layer and seed. */
    assert_memory_not_equal(all.y, all.y + size, size * sizeof(float));
    for (int change = 0; change < 3; change++) {
        tail.exec.step = change == 0 ? 8 : 7;
        tail.layer.index = change == 1 ? 4 : 3;
        tail.exec.seed = change == 2 ? 6 : 5;
        rig_forward(&tail);
        assert_memory_not_equal(tail.y, all.y + 6 * size, size * sizeof(float));
    }

    /* Inference drops nothing. */
    all.exec.training = false;
    rig_forward(&all);
    assert_memory_equal(all.y, all.x[0], all.out_size * sizeof(float));
    rig_close(&all);
    rig_close(&tail);
}

/* In inference the statistics are constants. */
static void test_batchnorm_gradient_in_inference(void **state)
{
    (void)state;
    const trial t = {"batchnorm", {.relu = true, .epsilon = 1e-3f}, {2, 2, 3}, NORMAL};
    rig r;
    rig_open(&r, t.type, t.spec, t.in, (pd_plan){1, 4, 1, 2});
    rig_fill(&r, &t, 1);
    r.exec.training = false;
    for (int j = 0; j < 3; j++) {
        rig_param(&r, "moving_mean")[j] = 0.1f * (float)j;
        rig_param(&r, "moving_variance")[j] = 1 + (float)j;
    }
    rig_forward(&r);
    rig_backward(&r);
    for (size_t i = 0; i < r.in_size; i++) {
        float gamma = rig_param(&r, "gamma")[i % 3];
        float want = r.y[i] > 0 ? r.dy[i] * gamma / sqrtf(1.001f + (float)(i % 3)) : 0;
        assert_true(fabsf(r.dx[0][i] - want) < 1e-5f);
    }
    rig_close(&r);
}

static void assert_plan_fails(const char *type, pd_layer_spec spec, pd_shape in,
                              const char *expected)
{
    pd_layer layer = {.type = pd_layer_type_find(type), .name = (char *)"some_layer", .spec = spec};
    layer.in[0] = in;
    layer.in[1] = (pd_shape){in.h + 1, in.w, in.c};
    pd_plan plan = {1, 1, 1, 1};
    assert_int_equal(layer.type->plan(&layer, &plan), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "some_layer"));
    if (strstr(pd_error_message(), expected) == NULL)
        fail_msg("message without '%s': %s", expected, pd_error_message());
}

static void test_errors_name_the_layer(void **state)
{
    (void)state;
    const pd_shape in = {4, 4, 2};
    assert_null(pd_layer_type_find("convolution"));
    assert_plan_fails("maxpool", (pd_layer_spec){0}, in, "window 0 x 0");
    assert_plan_fails("avgpool", (pd_layer_spec){.kernel_h = 2, .kernel_w = 3}, in, "not square");
    assert_plan_fails("maxpool", (pd_layer_spec){.kernel_h = 5, .kernel_w = 5, .padding = PD_VALID},
                      in, "larger than its input");
    assert_plan_fails("maxpool", (pd_layer_spec){.kernel_h = 17, .kernel_w = 17}, in,
                      "more than 256");
    assert_plan_fails("separable", (pd_layer_spec){.kernel_h = 3, .kernel_w = 3}, in,
                      "0 output channels");
    assert_plan_fails("separable", (pd_layer_spec){.units = 2, .kernel_h = 3}, in, "kernel 3 x 0");
    assert_plan_fails(
        "separable", (pd_layer_spec){.units = 2, .kernel_h = 5, .kernel_w = 5, .padding = PD_VALID},
        in, "smaller than its kernel, 5 x 5");
    assert_plan_fails("dropout", (pd_layer_spec){.rate = 1}, in, "rate 1");
    assert_plan_fails("batchnorm", (pd_layer_spec){.momentum = 1.5f}, in, "momentum 1.5");
    assert_plan_fails("batchnorm", (pd_layer_spec){.epsilon = -1}, in, "epsilon -1");
    assert_plan_fails("add", (pd_layer_spec){0}, in, "4 x 4 x 2 and 5 x 4 x 2");
    assert_plan_fails("concat", (pd_layer_spec){0}, in, "4 x 4 x 2 and 5 x 4 x 2");
    assert_plan_fails("zeropad", (pd_layer_spec){.pad = {0, -1, 0, 0}}, in, "padding of -1");
    assert_plan_fails("rectifier", (pd_layer_spec){.limit = -1}, in, "limit -1");
    assert_plan_fails("elu", (pd_layer_spec){.alpha = -1}, in, "alpha -1");
    assert_plan_fails("depthwise", (pd_layer_spec){.kernel_h = 3}, in, "kernel 3 x 0");
    assert_plan_fails("flatten", (pd_layer_spec){0}, (pd_shape){65536, 32768, 1},
                      "2147483648 features");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_numeric_gradients),
        cmocka_unit_test(test_bf16_is_close_to_floats),
        cmocka_unit_test(test_bf16_rounds_once),
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_ranks_do_not_change_bits),
        cmocka_unit_test(test_dx_is_optional),
        cmocka_unit_test(test_dropout_mask),
        cmocka_unit_test(test_batchnorm_gradient_in_inference),
        cmocka_unit_test(test_errors_name_the_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
