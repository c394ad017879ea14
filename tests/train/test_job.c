/* Job files: defaults, errors with their lines, overrides, and conversion to text. */
#include "pneumo/comm/reduction.h"
#include "pneumo/train/job.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Reads `text` as t.ini; the message must be `message`. */
static void expect_error(const char *text, const char *message)
{
    pd_job job;
    assert_int_equal(pd_job_parse(&job, "dir/t.ini", text, NULL, 0), PD_FAILED);
    assert_string_equal(pd_error_message(), message);
}

static void expect_begin(const char *text, const char *begin)
{
    pd_job job;
    assert_int_equal(pd_job_parse(&job, "dir/t.ini", text, NULL, 0), PD_FAILED);
    if (strncmp(pd_error_message(), begin, strlen(begin)) != 0)
        fail_msg("'%s' does not begin with '%s'", pd_error_message(), begin);
}

static void parse(pd_job *job, const char *text)
{
    if (pd_job_parse(job, "t.ini", text, NULL, 0) != PD_OK)
        fail_msg("%s", pd_error_message());
}

static void test_defaults(void **state)
{
    (void)state;
    pd_job job, parsed;
    pd_job_defaults(&job);
    assert_int_equal(job.seed, 1);
    assert_int_equal(job.sampling.lanes, 8);
    assert_int_equal(job.sampling.batch, 64);
    assert_int_equal(job.schedule.epochs, 20);
    assert_int_equal(job.input.size, 112);
    assert_int_equal(job.optimizer.kind, PD_ADAMW);
    assert_int_equal(job.schedule.kind, PD_SCHEDULE_ONECYCLE);
    assert_string_equal(job.file, "data/chest_xray.h5");
    assert_int_equal(job.reduction, PD_REDUCTION_EXACT);
    assert_true(job.schedule.learning_rate == 1e-3 && job.optimizer.beta1 == 0.9 &&
                job.optimizer.beta2 == 0.999);
    assert_true(job.optimizer.epsilon == 1e-8 && job.augment.crop_min == 1 &&
                job.augment.crop_ratio == 1.33);
    assert_true(job.model.norm_momentum == 0.9 && job.checkpoint_minutes == 5);
    assert_int_equal(job.audit_steps, 100);
    assert_true(job.decision.target_sensitivity == 0.95 && job.decision.target_specificity == 0.90);
    assert_int_equal(job.decision.threshold, PD_THRESHOLD_SENSITIVITY);
    assert_true(job.decision.sensitivity_margin == 0);

    /* An empty file gives the defaults and the job's name. */
    parse(&parsed, "");
    assert_string_equal(parsed.name, "t");
    strcpy(job.name, "t");
    assert_memory_equal(&parsed, &job, sizeof(job));
}

static void test_stages(void **state)
{
    (void)state;
    pd_job job;
    parse(&job, "[model]\nfreeze = block3\n[train]\nepochs = 6\nunfreeze_epoch = 3\n"
                "unfreeze_factor = 0.5\nrate_decay = 0.9\n[regularise]\nl2_sp = 0.01\n");
    assert_string_equal(job.freeze, "block3");
    assert_int_equal(job.schedule.unfreeze_epoch, 3);
    assert_true(job.schedule.unfreeze_factor == 0.5 && job.optimizer.rate_decay == 0.9 &&
                job.optimizer.l2_sp == 0.01);
    expect_error("[train]\nunfreeze_epoch = 3\n",
                 "dir/t.ini:2: unfreeze_epoch = 3 requires model.freeze, which says what is frozen "
                 "before it");
    expect_error("[model]\nfreeze = base\n[train]\nunfreeze_epoch = 1\n",
                 "dir/t.ini:4: unfreeze_epoch = 1 is not from 2 to epochs = 20");
    expect_error("[model]\nfreeze = base\n[train]\nunfreeze_epoch = 7\nepochs = 6\n",
                 "dir/t.ini:5: unfreeze_epoch = 7 is not from 2 to epochs = 6");
    expect_error("[model]\nfreeze = base\n[train]\nunfreeze_epoch = 3\nwarmup_epochs = 2\n",
                 "dir/t.ini:5: warmup_epochs = 2 must be less than the epochs of each stage, 2 and "
                 "18");
}

static void test_values(void **state)
{
    (void)state;
    pd_job job;
    parse(&job, "\xEF\xBB\xBF# a comment\n"
                "[run]\r\n  seed = 18446744073709551615 ; the largest\r\n"
                "folder: runs/a b\n"
                "[data]\n\ttask=cause\nbalance = weights\n"
                "[model]\nname = cnn-deep\nhead = dense\nnormalise = yes\nbatchnorm = lane\ninit = "
                "glorot-uniform\n"
                "[train]\noptimizer = rmsprop\nschedule = cosine\nmonitor = balanced-accuracy\n"
                "nesterov = true\nlearning_rate = 2.5e-4\n"
                "[run] # again\nreduction = mpi\n"
                "[augment]\nflip = 1");
    assert_true(job.seed == UINT64_MAX);
    assert_string_equal(job.folder, "runs/a b");
    assert_string_equal(job.model.name, "cnn-deep");
    assert_int_equal(job.model.head, PD_HEAD_DENSE);
    assert_true(job.model.normalise);
    assert_int_equal(job.reduction, PD_REDUCTION_MPI);
    assert_int_equal(job.task, PD_TASK_CAUSE);
    assert_int_equal(job.sampling.balance, PD_BALANCE_WEIGHTS);
    assert_int_equal(job.model.norm_scope, PD_NORM_LANE);
    assert_int_equal(job.model.init, PD_INIT_GLOROT_UNIFORM);
    assert_int_equal(job.optimizer.kind, PD_RMSPROP);
    assert_int_equal(job.schedule.kind, PD_SCHEDULE_COSINE);
    assert_int_equal(job.monitor, PD_MONITOR_BALANCED_ACCURACY);
    assert_true(job.optimizer.nesterov && job.augment.flip && job.schedule.learning_rate == 2.5e-4);
}

static void test_name(void **state)
{
    (void)state;
    pd_job job;
    char origin[80];
    assert_int_equal(pd_job_parse(&job, "/a/b.c/cnn-deep.ini", "", NULL, 0), PD_OK);
    assert_string_equal(job.name, "cnn-deep");
    assert_int_equal(pd_job_parse(&job, "plain", "", NULL, 0), PD_OK);
    assert_string_equal(job.name, "plain");

    memset(origin, 'x', sizeof(origin));
    strcpy(origin + 63, ".ini");
    assert_int_equal(pd_job_parse(&job, origin, "", NULL, 0), PD_OK);
    strcpy(origin + 63, "x.ini");
    assert_int_equal(pd_job_parse(&job, origin, "", NULL, 0), PD_FAILED);
    assert_non_null(strstr(pd_error_message(), "longer than 63 characters"));
}

static void test_mistakes_in_names(void **state)
{
    (void)state;
    expect_error("\n[trian]\nepochs = 3\n",
                 "dir/t.ini:2: section 'trian' is unknown; did you mean 'train'? sections are "
                 "run, data, model, train, "
                 "regularise, augment, evaluate");
    expect_begin("[run]\nseed = 3\n[]\n", "dir/t.ini:3: section '' is unknown");
    expect_begin("[empty]", "dir/t.ini:1: section 'empty' is unknown");
    expect_error("[train]\n\n# x\nepoch = 3\n",
                 "dir/t.ini:4: section [train] has no key 'epoch'; did you mean 'epochs' in "
                 "[train]?");
    expect_error("[run]\nbatch = 3\n",
                 "dir/t.ini:2: section [run] has no key 'batch'; did you mean 'batch' in [train]?");
    expect_error("[run]\nfrobnicator = 3\n",
                 "dir/t.ini:2: section [run] has no key 'frobnicator'; 'pneumo-dist train --help' "
                 "lists all keys");
    expect_begin("[run]\n= 3\n", "dir/t.ini:2: section [run] has no key ''");
    expect_error("[train]\nbatch = 8\nepochs = 3\nbatch = 8\n",
                 "dir/t.ini:4: key 'batch' is already set in line 2");
    expect_error("[train]\nbatch = 8\n  batch = 16\n",
                 "dir/t.ini:3: key 'batch' is already set in line 2");
    expect_error("seed = 1\n[run]\n",
                 "dir/t.ini:1: key 'seed' precedes the first [section]; did you "
                 "mean run.seed?");
}

static void test_mistakes_in_values(void **state)
{
    (void)state;
    expect_error("[train]\nbatch = many\n", "dir/t.ini:2: batch = 'many' is not a whole number");
    expect_error("[train]\nbatch = 8.5\n", "dir/t.ini:2: batch = '8.5' is not a whole number");
    expect_error("[train]\nbatch =\n", "dir/t.ini:2: batch = '' is not a whole number");
    expect_error("[train]\nbatch = 0\n", "dir/t.ini:2: batch = 0 is out of range [1, 1048576]");
    expect_error("[train]\nbatch = 99999999999999999999\n",
                 "dir/t.ini:2: batch = 99999999999999999999 is out of range [1, 1048576]");
    expect_error("[run]\nseed = -1\n", "dir/t.ini:2: seed = '-1' is not a whole number from 0");
    expect_error("[run]\nseed = 18446744073709551616\n",
                 "dir/t.ini:2: seed = 18446744073709551616 is out of range "
                 "[0, 18446744073709551615]");
    expect_error("[train]\nlearning_rate = fast\n",
                 "dir/t.ini:2: learning_rate = 'fast' is not a number");
    expect_error("[train]\nlearning_rate = nan\n",
                 "dir/t.ini:2: learning_rate = 'nan' is not a number");
    expect_error("[train]\nlearning_rate = inf\n",
                 "dir/t.ini:2: learning_rate = inf is out of range (0, 1000]");
    expect_error("[train]\nema = 1\n", "dir/t.ini:2: ema = 1 is out of range [0, 1)");
    expect_error("[train]\nema = -0.1\n", "dir/t.ini:2: ema = -0.1 is out of range [0, 1)");
    expect_error("[augment]\ncrop_min = 0\n", "dir/t.ini:2: crop_min = 0 is out of range (0, 1]");
    expect_error("[augment]\nflip = maybe\n", "dir/t.ini:2: flip = 'maybe' is neither yes nor no");
    expect_error("[train]\noptimizer = adma\n", "dir/t.ini:2: optimizer 'adma' is unknown; choices "
                                                "are sgd, adam, adamw, rmsprop");
    expect_error("[run]\nreduction = Exact\n",
                 "dir/t.ini:2: reduction 'Exact' is unknown; choices are exact, mpi");
    expect_begin("\n[model]\nname = vgg61\n",
                 "dir/t.ini:3: model 'vgg61' is unknown; choices are dense1, mlp2");
}

static void test_mistakes_of_form(void **state)
{
    (void)state;
    char text[600];
    expect_error("[run]\nseed = 1\nhello\n",
                 "dir/t.ini:3: the line is neither '[section]' nor 'key = value'");
    /* The first of several errors is reported, whether inih or the keys find it. */
    expect_error("[run]\nhello\nseed = x\n[nowhere]\n",
                 "dir/t.ini:2: the line is neither '[section]' nor 'key = value'");
    expect_error("[run]\nseed = x\nhello\n",
                 "dir/t.ini:2: seed = 'x' is not a whole number from 0");
    expect_error("[run\n", "dir/t.ini:1: '[run' lacks a ']'");
    expect_error("[train] epochs = 3\n",
                 "dir/t.ini:1: 'epochs = 3' after a section's name; start a new line");
    expect_error("[run]\nfolder = \x01\n", "dir/t.ini:2: byte 1 is not text; is this a job file?");

    snprintf(text, sizeof(text), "[run]\nfolder = %0181d\n", 0);
    expect_error(text, "dir/t.ini:2: folder is longer than 180 characters");
    snprintf(text, sizeof(text), "[run]\n\nfolder = %0500d\n", 0);
    expect_error(text, "dir/t.ini:3: the line is longer than 198 characters");
    pd_job job;
    snprintf(text, sizeof(text), "[run]\n# %0500d\nseed = 2\n", 0);
    parse(&job, text);
    assert_int_equal(job.seed, 2);
    snprintf(text, sizeof(text), "[run]\nfolder = %0180d\n", 0);
    parse(&job, text);
    assert_int_equal(strlen(job.folder), 180);
}

static void test_rules(void **state)
{
    (void)state;
    expect_begin("[train]\nlanes = 6\nepochs = 3\n",
                 "dir/t.ini:2: batch = 64 is not a multiple of lanes = 6: set train.batch");
    expect_begin("[train]\nlanes = 6\nbatch = 64\nepochs = 3\n",
                 "dir/t.ini:3: batch = 64 is not a multiple of lanes = 6: set train.batch");
    expect_error("[train]\nepoch_images = 32\n",
                 "dir/t.ini:2: epoch_images = 32 is less than batch = 64");
    expect_error("[train]\nwarmup_epochs = 5\nepochs = 5\n",
                 "dir/t.ini:3: warmup_epochs = 5 must be less than epochs = 5");
    expect_error("[regularise]\nweight_decay = 0.1\n[train]\noptimizer = sgd\n",
                 "dir/t.ini:4: weight_decay requires optimizer = adamw; for sgd set l2");
    expect_error(
        "[model]\nfreeze = b234567890123456789012345678901234567890123456789012345678901234\n",
        "dir/t.ini:2: freeze is longer than 63 characters");
    expect_error("[run]\nwatchdog_seconds = 3.5\n",
                 "dir/t.ini:2: watchdog_seconds = 3.5 is too short to tell a lost rank from a slow "
                 "one: use at least 4, or 0 for no watchdog");
    /* Not the key of the same name in [data]. */
    expect_error("[model]\nscaling = tf\n[data]\nscaling = image\n",
                 "dir/t.ini:2: model.scaling requires model.weights or model.from; see "
                 "data.scaling");
    expect_error("[data]\nchannels = 2\n", "dir/t.ini:2: channels = 2 is neither 1 nor 3");
    expect_error(
        "[evaluate]\nthreshold_rule = both\ntarget_sensitivity = 1\n",
        "dir/t.ini:3: threshold_rule = both needs target_sensitivity and sensitivity_margin "
        "with a sum below 1");
    expect_error(
        "[evaluate]\ntarget_specificity = 1\nthreshold_rule = both\n",
        "dir/t.ini:3: threshold_rule = both needs target_specificity and specificity_margin "
        "with a sum below 1");
    expect_error(
        "[evaluate]\nspecificity_margin = 0.1\nthreshold_rule = both\n",
        "dir/t.ini:3: threshold_rule = both needs target_specificity and specificity_margin "
        "with a sum below 1");
    expect_error("[evaluate]\nthreshold_rule = youden\n",
                 "dir/t.ini:2: threshold_rule 'youden' is unknown; choices are sensitivity, both");
    expect_begin("[data]\ncross = 1\ncross_part = 1\n", "dir/t.ini:2: cross = 1 leaves nothing");
    expect_begin("[data]\ncross = 5\n", "dir/t.ini:2: cross_part = 0 is not a part of");
    expect_begin("[data]\ncross = 5\ncross_part = 6\n",
                 "dir/t.ini:3: cross_part = 6 is not a part of");
    expect_begin("[data]\ncross_part = 2\n", "dir/t.ini:2: cross_part = 2 is not a part");

    pd_job job;
    const char *lanes[] = {"train.lanes=5"};
    assert_int_equal(pd_job_parse(&job, "t.ini", "", lanes, 1), PD_FAILED);
    assert_string_equal(pd_error_message(),
                        "t.ini: batch = 64 is not a multiple of lanes = 5: set train.batch to one, "
                        "or train.lanes to a divisor of the batch");
    /* An error in an override does not name the line that it replaced. */
    assert_int_equal(pd_job_parse(&job, "t.ini", "[train]\nlanes = 4\n", lanes, 1), PD_FAILED);
    assert_string_equal(pd_error_message(),
                        "t.ini: batch = 64 is not a multiple of lanes = 5: set train.batch to one, "
                        "or train.lanes to a divisor of the batch");
}

/* The keys of augmentation, mixup and changed images. */
static void test_keys_on_changes(void **state)
{
    (void)state;
    pd_job job;
    parse(&job, "");
    assert_true(job.augment.crop_min == 1 && job.augment.crop_max == 1 && job.augment.gamma == 0);
    assert_true(job.augment.resample_min == 1 && job.augment.border == 0 && job.augment.erase == 0);
    assert_true(job.augment.mixup == 0 && job.stress && job.stress_images == 1000 &&
                job.stress_rounds == 2);
    assert_int_equal(job.decision.views, PD_VIEWS_PLAIN);
    assert_int_equal(job.threshold_on, PD_THRESHOLD_ON_VALIDATION);
    parse(&job,
          "[train]\nmonitor = stress\n[augment]\ncrop_max = 1.4\ncrop_min = 0.5\ngamma = 0.5\n"
          "blur = 0.01\nresample_min = 0.4\nsharpen = 2\nnoise = 0.1\nborder = 0.1\n"
          "erase = 0.2\nblack = 0.5\nmixup = 0.4\n"
          "[evaluate]\nviews = zoom\nthreshold_on = stress\nstress_rounds = 3\n"
          "stress_images = 0\nstress = no\n");
    const pd_augment *a = &job.augment;
    assert_true(a->crop_max == 1.4 && a->crop_min == 0.5 && a->gamma == 0.5 && a->blur == 0.01);
    assert_true(a->resample_min == 0.4 && a->sharpen == 2 && a->noise == 0.1 && a->border == 0.1);
    assert_true(a->erase == 0.2 && a->black == 0.5 && job.augment.mixup == 0.4);
    assert_int_equal(job.monitor, PD_MONITOR_STRESS);
    assert_int_equal(job.decision.views, PD_VIEWS_ZOOM);
    assert_int_equal(job.threshold_on, PD_THRESHOLD_ON_STRESS);
    assert_true(job.stress_rounds == 3 && job.stress_images == 0 && !job.stress);

    expect_error("[augment]\ncrop_max = 0.9\n",
                 "dir/t.ini:2: crop_max = 0.9 is out of range [1, 4]");
    expect_error("[augment]\nmixup = 1.1\n", "dir/t.ini:2: mixup = 1.1 is out of range [0, 1]");
    expect_error("[data]\ntask = cause\n[augment]\nmixup = 0.2\n",
                 "dir/t.ini:4: mixup requires task = pneumonia: set augment.mixup = 0");
    expect_error("[evaluate]\nviews = many\n", "dir/t.ini:2: views 'many' is unknown; choices are "
                                               "plain, mirror, zoom, auto");
    expect_error("[evaluate]\nstress_rounds = 26\n",
                 "dir/t.ini:2: stress_rounds = 26 is out of range [1, 25]");
}

/* The key for mirror images in checkpoints of version 0.1. */
static void test_former_keys(void **state)
{
    (void)state;
    const struct {
        const char *text;
        pd_views views;
    } cases[] = {{"[evaluate]\nflip_average = off\n", PD_VIEWS_PLAIN},
                 {"[evaluate]\nflip_average = on\n", PD_VIEWS_MIRROR},
                 {"[evaluate]\nflip_average = auto\n", PD_VIEWS_AUTO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pd_job job;
        char *text = NULL;
        parse(&job, cases[i].text);
        assert_int_equal(job.decision.views, cases[i].views);
        assert_int_equal(pd_job_text(&text, &job), PD_OK);
        assert_null(strstr(text, "flip_average"));
        free(text);
    }
    expect_begin("[evaluate]\nflip_average = maybe\n",
                 "dir/t.ini:2: section [evaluate] has no key 'flip_average'");
    expect_begin("[evaluate]\nviews = plain\nflip_average = on\n",
                 "dir/t.ini:3: key 'views' is already set in line 2");
}

static void test_overrides(void **state)
{
    (void)state;
    pd_job job;
    const char *good[] = {"train.batch=32", " train . epochs = 7 ", "train.batch=16",
                          "run.folder=a=b", "data.file="};
    assert_int_equal(
        pd_job_parse(&job, "t.ini", "[train]\nbatch = 8\nlearning_rate = 0.5\n", good, 5), PD_OK);
    assert_int_equal(job.sampling.batch, 16);
    assert_int_equal(job.schedule.epochs, 7);
    assert_true(job.schedule.learning_rate == 0.5);
    assert_string_equal(job.folder, "a=b");
    assert_string_equal(job.file, "");

    char longer[300];
    snprintf(longer, sizeof(longer), "run.folder=%0200d", 0);
    const char *const bad[][2] = {
        {"train.batch=0", "--set train.batch=0: batch = 0 is out of range [1, 1048576]"},
        {"train.batch", "--set train.batch: write it as section.key=value"},
        {"batch=8", "--set batch=8: write it as section.key=value; did you mean train.batch?"},
        {"epoch=8", "--set epoch=8: write it as section.key=value; did you mean train.epochs?"},
        {"flipp=8", "--set flipp=8: write it as section.key=value; did you mean augment.flip?"},
        {"nothing=8", "--set nothing=8: write it as section.key=value"},
        {"", "--set : write it as section.key=value"},
        {"train.batsch=8",
         "--set train.batsch=8: section [train] has no key 'batsch'; did you mean "
         "'batch' in [train]?"},
        {"run.folder=a ;b",
         "--set run.folder=a ;b: folder has a ';' after a blank, where a comment "
         "would start"},
        {"run.folder=a\nb", "--set run.folder=a: folder has a control character"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pd_job_parse(&job, "t.ini", "", &bad[i][0], 1), PD_USAGE);
        assert_string_equal(pd_error_message(), bad[i][1]);
    }
    const char *const sections[] = {"trian.batch=8", longer};
    assert_int_equal(pd_job_parse(&job, "t.ini", "", &sections[0], 1), PD_USAGE);
    assert_non_null(
        strstr(pd_error_message(), "section 'trian' is unknown; did you mean 'train'?"));
    assert_int_equal(pd_job_parse(&job, "t.ini", "", &sections[1], 1), PD_USAGE);
    assert_non_null(strstr(pd_error_message(), "folder is longer than 180 characters"));
}

static void expect_round_trip(const pd_job *job, const char *origin)
{
    char *text = NULL;
    pd_job back;
    memset(&back, 0xff, sizeof(back));
    assert_int_equal(pd_job_text(&text, job), PD_OK);
    if (pd_job_parse(&back, origin, text, NULL, 0) != PD_OK)
        fail_msg("%s", pd_error_message());
    assert_memory_equal(&back, job, sizeof(*job));
    free(text);
}

static void test_round_trip(void **state)
{
    (void)state;
    pd_job job;
    const char *odd[] = {"train.learning_rate=0.1000000000000000055511151231257827021",
                         "augment.rotate=33.333333333333336",
                         "augment.contrast=1e-300",
                         "regularise.l1=4.9406564584124654e-324",
                         "run.seed=18446744073709551615",
                         "data.file=data/with space;and # and = and [x]",
                         "augment.flip=yes",
                         "data.task=cause",
                         "model.init=ones",
                         "model.name=dense1",
                         "run.reduction=mpi"};
    parse(&job, "");
    expect_round_trip(&job, "t.ini");
    assert_int_equal(pd_job_parse(&job, "t.ini", "", odd, sizeof(odd) / sizeof(odd[0])), PD_OK);
    expect_round_trip(&job, "t.ini");

    /* Short if that is exact. */
    char *text = NULL;
    assert_int_equal(pd_job_text(&text, &job), PD_OK);
    assert_non_null(strstr(text, "\nlearning_rate = 0.1\n"));
    assert_non_null(strstr(text, "\nrotate = 33.333333333333336\n"));
    assert_ptr_equal(strstr(text, "[run]\nseed = "), text);
    free(text);

    /* A text that could not be read back is an error. */
    strcpy(job.file, " a");
    assert_int_equal(pd_job_text(&text, &job), PD_FAILED);
    assert_null(text);
    assert_string_equal(pd_error_message(), "file begins or ends with a blank");

    /* Keys that do not affect the result are left out. */
    pd_job here, there;
    const char *elsewhere[] = {
        "run.folder=x",      "run.threads=3",     "run.checkpoint_minutes=1", "run.bucket_kib=7",
        "run.audit_steps=7", "run.images=stream", "run.watchdog_seconds=7",   "run.share_ranks=2"};
    char *other = NULL;
    assert_int_equal(pd_job_parse(&here, "t.ini", "", NULL, 0), PD_OK);
    assert_int_equal(pd_job_parse(&there, "t.ini", "", elsewhere, 8), PD_OK);
    assert_int_equal(pd_job_text(&text, &here), PD_OK);
    assert_int_equal(pd_job_text(&other, &there), PD_OK);
    assert_string_equal(text, other);
    free(text);
    free(other);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/pneumo-job-XXXXXX", path[64], message[128];
    pd_job job;
    assert_non_null(mkdtemp(folder));

    assert_int_equal(pd_job_read(&job, folder, NULL, 0), PD_FAILED);
    assert_ptr_equal(strstr(pd_error_message(), folder), pd_error_message());

    snprintf(path, sizeof(path), "%s/x.ini", folder);
    assert_int_equal(pd_job_read(&job, path, NULL, 0), PD_FAILED);
    assert_ptr_equal(strstr(pd_error_message(), path), pd_error_message());

    static const char zero[] = "[run]\nseed = 3\n\0more";
    write_file(path, zero, sizeof(zero) - 1);
    assert_int_equal(pd_job_read(&job, path, NULL, 0), PD_FAILED);
    snprintf(message, sizeof(message), "%s:3: byte 0 is not text; is this a job file?", path);
    assert_string_equal(pd_error_message(), message);

    /* Every byte value, in a pattern without structure. */
    unsigned char junk[4096];
    for (unsigned i = 0; i < sizeof(junk); i++)
        junk[i] = (unsigned char)(i * 2654435761u >> 13);
    write_file(path, junk, sizeof(junk));
    assert_int_equal(pd_job_read(&job, path, NULL, 0), PD_FAILED);
    assert_null(strchr(pd_error_message(), '\n'));

    char *large = malloc((1 << 20) + 1);
    memset(large, '\n', (1 << 20) + 1);
    write_file(path, large, (1 << 20) + 1);
    assert_int_equal(pd_job_read(&job, path, NULL, 0), PD_FAILED);
    assert_ptr_equal(strstr(pd_error_message(), path), pd_error_message());
    write_file(path, large, 1 << 20);
    assert_int_equal(pd_job_read(&job, path, NULL, 0), PD_OK);
    free(large);

    static const char good[] = "[run]\nseed = 3\n";
    const char *set[] = {"train.epochs=2"};
    write_file(path, good, sizeof(good) - 1);
    assert_int_equal(pd_job_read(&job, path, set, 1), PD_OK);
    assert_string_equal(job.name, "x");
    assert_int_equal(job.seed, 3);
    assert_int_equal(job.schedule.epochs, 2);

    unlink(path);
    rmdir(folder);
}

static void test_shipped_jobs(void **state)
{
    (void)state;
    const char *source = getenv("PNEUMO_SOURCE");
    char pattern[1024];
    glob_t found;
    if (!source)
        skip();
    snprintf(pattern, sizeof(pattern), "%s/jobs/*.ini", source);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 12);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        pd_job job;
        if (pd_job_read(&job, found.gl_pathv[i], NULL, 0) != PD_OK)
            fail_msg("%s", pd_error_message());
        expect_round_trip(&job, found.gl_pathv[i]);
    }
    globfree(&found);
}

static void test_help(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    pd_job_help(out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "[regularise]\n"));
    assert_non_null(strstr(text, "  batch = 64 "));
    assert_non_null(strstr(text, "[1, 1048576]"));
    assert_non_null(strstr(text, "sgd, adam, adamw, rmsprop"));
    assert_non_null(strstr(text, "dense1, mlp2"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_mistakes_in_names),
        cmocka_unit_test(test_mistakes_in_values),
        cmocka_unit_test(test_mistakes_of_form),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_keys_on_changes),
        cmocka_unit_test(test_former_keys),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_shipped_jobs),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
