/* pneumo-dist train: trains a job and evaluates its best checkpoint. */
#include "pneumo/train/train.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/cli/command.h"
#include "pneumo/cli/job.h"
#include "pneumo/cli/train.h"
#include "pneumo/data/cross.h"
#include "pneumo/data/pack.h"
#include "pneumo/data/phantom.h"
#include "pneumo/evaluate/evaluate.h"
#include "pneumo/io/file.h"
#include "pneumo/report/gallery.h"
#include "pneumo/report/report.h"
#include "pneumo/report/score_file.h"
#include "pneumo/train/threads.h"
#include "pneumo/train/validation.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char phantom_folder[] = "data/phantoms";
static const char phantom_file[] = "data/phantoms.h5";

/* A short course on phantoms: they are easier than radiographs, and a first try should end soon. */
static const char *const phantom_overrides[] = {
    "data.file=data/phantoms.h5", "data.size=64",     "train.epochs=8",
    "train.epoch_images=1600",    "train.patience=0",
};

enum {
    PHANTOM_IMAGES = 2400,
    PHANTOM_OVERRIDES = sizeof phantom_overrides / sizeof *phantom_overrides
};

typedef struct arguments {
    const char *job_name; /* a path, or the name of a job in a jobs folder; NULL: the default */
    const char *folder;
    bool resume;
    long long cross, part; /* 0: not given */
    pd_overrides overrides;
} arguments;

static void print_help(void)
{
    printf("usage: pneumo-dist train [JOB] [OPTION]...\n\n"
           "Trains JOB, a path such as jobs/cnn.ini or the name of a job such as cnn (default "
           "%s), on its\npacked data set; then evaluates its best checkpoint on the test fold, "
           "and on changed images of the\nvalidation fold. Writes last.h5, previous.h5, best.h5, "
           "history.csv, time.csv, report.json,\nreport.html and scores.csv into the run's "
           "folder.\n\n"
           "  -d, --data FILE          the packed data set (data.file)\n"
           "  -r, --run DIR            the folder to write (run.folder); default runs/JOB\n"
           "      --resume             go on from DIR/last.h5 if it is there, or from previous.h5 "
           "if last.h5\n"
           "                           cannot be read; at any number of ranks\n"
           "  -s, --set KEY=VALUE      override a key of the job; may be given often\n"
           "      --seed N             run.seed\n"
           "      --epochs N           train.epochs\n"
           "      --cross N            deal the patients of the train and validation folds into N "
           "parts (2 to %d);\n"
           "                           train N times, each time with another part for the "
           "validation fold, into\n"
           "                           DIR/cross-1, ..., then evaluate the average of the N models "
           "once on the\n"
           "                           test fold; what is trained already is not trained again\n"
           "      --part K             of --cross, train part K only\n"
           "  -t, --threads N          threads per rank (run.threads)\n"
           "  -h, --help\n\n"
           "examples:\n"
           "  mpirun -np 2 pneumo-dist train cnn --run runs/cnn-b --set "
           "train.learning_rate=5e-4\n"
           "  pneumo-dist train cnn-deep --cross 5 --run runs/five\n\n"
           "keys of a job:\n",
           PD_DEFAULT_JOB, PD_CROSS_MOST);
    pd_job_help(stdout);
}

static pd_status parse(arguments *out, int argc, char **argv, bool *helped)
{
    enum { RESUME = 256, SEED, EPOCHS, CROSS, PART };
    static const struct option options[] = {
        {"data", required_argument, NULL, 'd'},
        {"run", required_argument, NULL, 'r'},
        {"resume", no_argument, NULL, RESUME},
        {"set", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, SEED},
        {"epochs", required_argument, NULL, EPOCHS},
        {"cross", required_argument, NULL, CROSS},
        {"part", required_argument, NULL, PART},
        {"threads", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    pd_status status = PD_OK;
    int option;
    while ((option = getopt_long(argc, argv, ":d:r:s:t:h", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            out->folder = optarg;
            break;
        case RESUME:
            out->resume = true;
            break;
        case SEED:
            pd_overrides_add(&out->overrides, "run.seed", optarg);
            break;
        case EPOCHS:
            pd_overrides_add(&out->overrides, "train.epochs", optarg);
            break;
        case CROSS:
            PD_TRY(pd_command_integer(&out->cross, "--cross", optarg, 2, PD_CROSS_MOST));
            break;
        case PART:
            PD_TRY(pd_command_integer(&out->part, "--part", optarg, 1, PD_CROSS_MOST));
            break;
        case 'h':
            *helped = true;
            return PD_OK;
        default:
            if (!pd_overrides_take(&out->overrides, option, optarg))
                return pd_command_bad_option(argc, argv, option);
        }
    }
    if (optind < argc)
        out->job_name = argv[optind++];
    if (optind < argc)
        return pd_fail_usage("'%s' is one argument too many", argv[optind]);
    if (out->part > out->cross)
        return pd_fail_usage(out->cross == 0 ? "--part needs --cross"
                                             : "--part %lld is none of the %lld parts",
                             out->part, out->cross);
    status = out->overrides.status;
cleanup:
    return status;
}

/* Makes the packed phantoms where they are missing. Collective. */
static pd_status make_phantoms(pd_comm *comm)
{
    pd_status status = PD_OK;
    if (pd_comm_rank(comm) == 0 && !pd_file_exists(phantom_file)) {
        pd_synth_options synth = pd_synth_defaults();
        synth.folder = phantom_folder;
        synth.images = PHANTOM_IMAGES;
        if (!pd_file_exists(phantom_folder))
            PD_TRY(pd_synth(&synth));
        pd_pack_options pack = pd_pack_defaults();
        pd_pack_result result;
        pack.folder = phantom_folder;
        pack.output = phantom_file;
        PD_TRY(pd_pack(&pack, &result));
    }
cleanup:
    return pd_comm_agree(comm, status);
}

/* Reads the named job, or the default one, with `count` overrides before the user's. */
static pd_status read_job(pd_job *job, const arguments *given, const char *const *first, int count)
{
    const char *name = given->job_name == NULL ? PD_DEFAULT_JOB : given->job_name;
    return pd_command_job(job, name, first, count, &given->overrides);
}

/* The job to train. Without a named job and without its packed data set, that is a short course on
 * phantoms. Collective. */
static pd_status choose_job(pd_comm *comm, pd_job *job, const arguments *given)
{
    pd_status status = PD_OK;
    PD_TRY(pd_comm_agree(comm, read_job(job, given, NULL, 0)));
    bool phantoms = given->job_name == NULL && !pd_file_exists(job->file);
    PD_TRY(pd_comm_broadcast(comm, &phantoms, sizeof phantoms, 0));
    if (phantoms) {
        pd_log_info("no packed data set at %s: training on synthetic phantoms", job->file);
        PD_TRY(make_phantoms(comm));
        PD_TRY(pd_comm_agree(comm, read_job(job, given, phantom_overrides, PHANTOM_OVERRIDES)));
        snprintf(job->name, sizeof job->name, "%s-phantoms", PD_DEFAULT_JOB);
    }
    status = pd_command_folder(job, given->folder);
cleanup:
    return status;
}

/* The files that the evaluation leaves in the run's folder. report.json, the last, says that the
 * run is complete. */
static pd_status write_files(const char *folder, pd_evaluation *evaluation)
{
    pd_status status = PD_OK;
    const pd_results *told = pd_evaluation_results(evaluation);
    char *json = NULL, *scores = NULL, *page = NULL;
    PD_TRY(pd_train_path(&json, folder, "report.json"));
    PD_TRY(pd_train_path(&scores, folder, "scores.csv"));
    PD_TRY(pd_train_path(&page, folder, "report.html"));
    PD_TRY(pd_score_file_write(scores, told));
    PD_TRY(pd_gallery_write_page(page, evaluation));
    PD_TRY(pd_report_write_json(json, told));
cleanup:
    free(json);
    free(scores);
    free(page);
    return status;
}

pd_status pd_train_report(pd_comm *comm, const pd_job *job, int threads, const char *path,
                          const pd_train_result *trained)
{
    pd_status status = PD_OK;
    pd_evaluation *evaluation = NULL;
    const pd_evaluate_options options = {.checkpoints = &path,
                                         .checkpoint_count = 1,
                                         .data = job->file,
                                         .val = true,
                                         .test = true,
                                         .stress = job->stress,
                                         .by_training = true,
                                         .threads = threads};
    PD_TRY(pd_evaluate(&evaluation, comm, &options));
    pd_comm_set_position(comm, "writing the report");
    if (pd_comm_rank(comm) == 0) {
        pd_results *told = pd_evaluation_results(evaluation);
        told->epochs = trained->epochs;
        told->seconds = trained->images_per_second > 0 ? trained->seconds : (double)NAN;
        told->images_per_second = trained->images_per_second;
        pd_report_print(stdout, told);
        fflush(stdout);
        status = write_files(job->folder, evaluation);
        if (status == PD_OK)
            pd_log_info("%s/report.html shows it with plots", job->folder);
    }
    status = pd_comm_agree(comm, status);
cleanup:
    pd_evaluation_destroy(&evaluation);
    return status;
}

static pd_status train_parts(pd_comm *comm, const pd_job *job, const arguments *given)
{
    const pd_cross_options options = {.parts = (int)given->cross,
                                      .part = (int)given->part,
                                      .resume = given->resume,
                                      .threads = pd_threads_choose(comm, job->threads)};
    if (job->cross > 0)
        return pd_fail_usage("--cross sets data.cross and data.cross_part: leave them out");
    return pd_cross_train(comm, job, &options);
}

pd_status pd_command_train(pd_comm *comm, int argc, char **argv)
{
    pd_status status = PD_OK;
    arguments given = {0};
    pd_job job;
    pd_train_result trained;
    char *best = NULL;
    bool helped = false;
    PD_TRY(parse(&given, argc, argv, &helped));
    if (helped) {
        if (pd_comm_rank(comm) == 0)
            print_help();
        goto cleanup;
    }
    PD_TRY(choose_job(comm, &job, &given));
    if (given.cross > 0) {
        status = train_parts(comm, &job, &given);
        goto cleanup;
    }
    const pd_train_options options = {.comm = comm,
                                      .job = &job,
                                      .folder = job.folder,
                                      .resume = given.resume,
                                      .threads = pd_threads_choose(comm, job.threads)};
    status = pd_train(&options, &trained);
    if (status == PD_STOPPED)
        pd_log_info("stopped after saving %s/last.h5: run it again with --resume", job.folder);
    PD_TRY(status);
    PD_TRY(pd_train_path(&best, job.folder, "best.h5"));
    status = pd_train_report(comm, &job, options.threads, best, &trained);
cleanup:
    free(best);
    pd_overrides_release(&given.overrides);
    return status;
}
