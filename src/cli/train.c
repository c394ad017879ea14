/* pneumo-dist train: trains a job and evaluates its best checkpoint. */
#include "pneumo/train/train.h"
#include "command.h"
#include "job.h"
#include "pneumo/base/host.h"
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/stop.h"
#include "pneumo/data/cross.h"
#include "pneumo/evaluate/evaluate.h"
#include "pneumo/io/file.h"
#include "pneumo/report/gallery.h"
#include "pneumo/report/model_card.h"
#include "pneumo/report/report.h"
#include "pneumo/report/score_file.h"
#include "pneumo/train/run_status.h"
#include "pneumo/train/threads.h"
#include "train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
    const char *folder;
    bool resume;
    int cross, part; /* 0: not given */
    pd_overrides overrides;
} arguments;

/* Writes the results into the run's folder. report.json, which marks the run as complete, comes
 * last. */
static pd_status write_files(const char *folder, pd_evaluation *evaluation)
{
    pd_status status = PD_OK;
    const pd_results *results = pd_evaluation_results(evaluation);
    char *json = NULL, *scores = NULL, *page = NULL, *card = NULL;
    PD_TRY(pd_run_path(&json, folder, "report.json"));
    PD_TRY(pd_run_path(&scores, folder, "scores.csv"));
    PD_TRY(pd_run_path(&page, folder, "report.html"));
    PD_TRY(pd_run_path(&card, folder, "model-card.md"));
    PD_TRY(pd_score_file_write(scores, results));
    PD_TRY(pd_gallery_write_page(page, evaluation));
    PD_TRY(pd_model_card_write(card, results));
    PD_TRY(pd_report_write_json(json, results));
cleanup:
    free(json);
    free(scores);
    free(page);
    free(card);
    return status;
}

pd_status pd_train_report(pd_comm *comm, const pd_job *job, int threads, const char *path,
                          const pd_train_result *trained)
{
    pd_status status = PD_OK;
    pd_evaluation *evaluation = NULL;
    bool first = pd_comm_rank(comm) == 0;
    const pd_evaluate_options options = {.checkpoints = &path,
                                         .checkpoint_count = 1,
                                         .data = job->file,
                                         .val = true,
                                         .test = true,
                                         .stress = job->stress,
                                         .by_training = true,
                                         .threads = threads};
    if (first)
        pd_run_status_enter(job->folder, PD_RUN_EVALUATING);
    PD_TRY(pd_evaluate(&evaluation, comm, &options));
    pd_comm_set_position(comm, "writing the report");
    if (first) {
        pd_results *results = pd_evaluation_results(evaluation);
        results->epochs = trained->epochs;
        results->history = trained->history;
        results->history_count = trained->history_count;
        results->seconds = trained->images_per_second > 0 ? trained->seconds : (double)NAN;
        results->images_per_second = trained->images_per_second;
        if (trained->images_per_second > 0)
            pd_host_processor(results->processor, sizeof results->processor, "");
        pd_report_print(stdout, results);
        fflush(stdout);
        status = write_files(job->folder, evaluation);
        if (status == PD_OK)
            pd_log_info("%s/report.html shows it with plots", job->folder);
    }
    status = pd_comm_agree(comm, status);
cleanup:
    if (first)
        pd_run_status_enter(job->folder, status == PD_OK ? PD_RUN_FINISHED : PD_RUN_FAILED);
    pd_evaluation_destroy(&evaluation);
    return status;
}

/* Trains the models of a cross-validation. Collective. */
static pd_status run_cross(pd_comm *comm, const pd_job *job, const arguments *given)
{
    const pd_cross_options cross = {.parts = given->cross,
                                    .part = given->part,
                                    .resume = given->resume,
                                    .threads = pd_threads_choose(comm, job->threads)};
    if (job->cross > 0)
        return pd_fail_usage("--cross sets data.cross and data.cross_part; do not set them too");
    return pd_cross_train(comm, job, &cross);
}

/* Trains and evaluates one model. Collective. */
static pd_status run_one(pd_comm *comm, const pd_job *job, bool resume)
{
    pd_status status = PD_OK;
    pd_train_result trained;
    char *best = NULL;
    const pd_run_options train = {.comm = comm,
                                  .job = job,
                                  .folder = job->folder,
                                  .resume = resume,
                                  .extend = resume,
                                  .threads = pd_threads_choose(comm, job->threads)};
    status = pd_train(&train, &trained);
    if (status == PD_STOPPED)
        pd_log_info("stopped after saving %s/last.h5: run it again with --resume", job->folder);
    PD_TRY(status);
    pd_stop_resume();
    PD_TRY(pd_comm_agree(comm, pd_run_path(&best, job->folder, "best.h5")));
    status = pd_train_report(comm, job, train.threads, best, &trained);
cleanup:
    free(best);
    free(trained.history);
    return status;
}

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    pd_status status = PD_OK;
    const arguments *given = values;
    pd_job job;
    if (given->part > 0 && given->cross == 0)
        return pd_fail_usage("--part requires --cross");
    if (given->part > given->cross)
        return pd_fail_usage("--part %d: --cross makes only %d parts", given->part, given->cross);
    PD_TRY(pd_train_choose_job(&job, comm,
                               &(pd_train_choice){.name = count == 0 ? NULL : operands[0],
                                                  .folder = given->folder,
                                                  .overrides = &given->overrides,
                                                  .resume = given->resume,
                                                  .cross = given->cross > 0}));
    status = given->cross > 0 ? run_cross(comm, &job, given) : run_one(comm, &job, given->resume);
cleanup:
    return status;
}

_Static_assert(PD_CROSS_MOST == 20, "the help of --cross says 20");

static const pd_option options[] = {
    PD_OPTION_JOB_DATA(arguments, overrides),
    {"run", 'r', PD_OPTION_TEXT, offsetof(arguments, folder), "DIR",
     "folder to write (run.folder); default runs/JOB", .complete = PD_COMPLETE_FOLDERS,
     .no_stdout = true},
    {"resume", 0, PD_OPTION_FLAG, offsetof(arguments, resume), NULL,
     .help =
         "continue from DIR/last.h5 if it exists, or from previous.h5 if last.h5 cannot be read; "
         "at any number of ranks, and with another number of epochs; without JOB, with the job and "
         "data of that checkpoint, which must exist"},
    PD_OPTION_SET(arguments, overrides),
    {"seed", 0, PD_OPTION_JOB_KEY, offsetof(arguments, overrides), "N", "set run.seed",
     .key = "run.seed"},
    {"epochs", 0, PD_OPTION_JOB_KEY, offsetof(arguments, overrides), "N", "set train.epochs",
     .key = "train.epochs"},
    {"weights", 0, PD_OPTION_JOB_KEY, offsetof(arguments, overrides), "FILE",
     "start from the weights in FILE (model.weights)", .key = "model.weights",
     .complete = PD_COMPLETE_FILES},
    {"cross", 0, PD_OPTION_INT, offsetof(arguments, cross), "N",
     "divide the patients of the train and validation folds into N parts (2 to 20); train N times, "
     "each time with another part as the validation fold, into DIR/cross-1, ..., then evaluate the "
     "average of the N models once on the test fold; models that are already trained are kept",
     .low = 2, .high = PD_CROSS_MOST},
    {"part", 0, PD_OPTION_INT, offsetof(arguments, part), "K", "with --cross, train only part K",
     .low = 1, .high = PD_CROSS_MOST},
    PD_OPTION_JOB_THREADS(arguments, overrides),
    {0}};

const pd_command pd_command_train = {
    .name = "train",
    .summary = "train a job, then evaluate it on the test fold",
    .description =
        "Trains JOB, a path such as jobs/cnn.ini or the name of a job such as cnn (default " //
    PD_DEFAULT_JOB
        "), on its packed data set; then evaluates its best checkpoint on the test fold, and on "
        "changed images of the validation fold. Writes last.h5, previous.h5, best.h5, history.csv, "
        "status.csv, time.csv, report.json, report.html, model-card.md and scores.csv into the "
        "run's folder, which this process locks with run.lock while it runs.",
    .examples =
        "mpirun -np 2 pneumo-dist train cnn --run runs/cnn-b --set train.learning_rate=5e-4\n"
        "pneumo-dist train cnn-deep --cross 5 --run runs/five",
    .operands = {{"JOB", PD_COMPLETE_JOBS, .optional = true}},
    .options = options,
    .options_size = sizeof(arguments),
    .run = run,
    .resumable = true,
    .stop_advice = "run it again with --resume",
    .appendix_title = "keys of a job",
    .print_appendix = pd_job_help,
};
