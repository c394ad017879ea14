/* pneumo-dist train --cross: trains the models of a cross-validation and evaluates their average.
 */
#include "pneumo/base/log.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/stop.h"
#include "pneumo/base/text.h"
#include "pneumo/data/cross.h"
#include "pneumo/evaluate/ensemble.h"
#include "pneumo/evaluate/evaluate.h"
#include "pneumo/io/file.h"
#include "pneumo/io/lock.h"
#include "pneumo/train/run.h"
#include "pneumo/train/run_status.h"
#include "train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The figures in the table, those of each part's best epoch. */
enum { LOSS, AUC, ACCURACY, SENSITIVITY, SPECIFICITY, FIGURES };
static const char *const figure_names[FIGURES] = {"val_loss", "val_auc", "val_accuracy",
                                                  "val_sensitivity", "val_specificity"};

typedef struct cross_run {
    pd_comm *comm;
    const pd_job *job;
    const pd_cross_options *options;
    char *best[PD_CROSS_MOST];              /* best.h5 of each part */
    double figures[PD_CROSS_MOST][FIGURES]; /* on rank 0 */
    int64_t epochs[PD_CROSS_MOST];          /* the best one of each part */
    pd_train_result trained;                /* all parts together */
} cross_run;

/* --- Training --- */

static pd_status job_of_part(pd_job *out, const pd_job *job, int parts, int part)
{
    *out = *job;
    out->cross = parts;
    out->cross_part = part;
    int length = snprintf(out->folder, sizeof out->folder, "%s/cross-%d", job->folder, part);
    if (length >= (int)sizeof out->folder)
        return pd_fail("%s: the path is too long", job->folder);
    return PD_OK;
}

/* Whether the folder contains a finished run. */
static pd_status is_finished(bool *is, const char *folder)
{
    char *last = NULL;
    pd_checkpoint *checkpoint = NULL;
    *is = false;
    pd_status status = pd_run_path(&last, folder, "last.h5");
    if (status == PD_OK && pd_file_exists(last) && pd_checkpoint_load(&checkpoint, last) == PD_OK)
        *is = checkpoint->state.finished;
    pd_checkpoint_destroy(&checkpoint);
    free(last);
    return status;
}

/* Trains a part. Of a finished part, only checks that it is of this job. Collective. */
static pd_status train_part(cross_run *cross, int part)
{
    pd_status status = PD_OK;
    const pd_cross_options *given = cross->options;
    pd_job job;
    pd_train_result result = {0};
    bool finished = false;
    PD_TRY(pd_comm_agree(cross->comm, job_of_part(&job, cross->job, given->parts, part)));
    if (pd_comm_rank(cross->comm) == 0)
        status = is_finished(&finished, job.folder);
    PD_TRY(pd_comm_agree(cross->comm, status));
    PD_TRY(pd_comm_broadcast(cross->comm, &finished, sizeof finished, 0));
    pd_log_info("part %d of %d%s", part, given->parts, finished ? " is already trained" : "");
    const pd_run_options options = {.comm = cross->comm,
                                    .job = &job,
                                    .folder = job.folder,
                                    .resume = given->resume || finished,
                                    .extend = given->resume,
                                    .threads = given->threads};
    status = pd_train(&options, &result);
    if (status == PD_STOPPED)
        pd_log_info("stopped after saving %s/last.h5: run it again with --resume", job.folder);
    PD_TRY(status);
    if (pd_comm_rank(cross->comm) == 0)
        pd_run_status_enter(job.folder, PD_RUN_FINISHED);
    pd_stop_resume();
    cross->trained.seconds += result.seconds;
    cross->trained.images_per_second += result.images_per_second * result.seconds;
cleanup:
    free(result.history);
    return status;
}

/* --- The parts' figures --- */

static pd_status read_figures(cross_run *cross, int index)
{
    pd_status status = PD_OK;
    pd_checkpoint *checkpoint = NULL;
    const pd_history_row *row = NULL;
    PD_TRY(pd_checkpoint_load(&checkpoint, cross->best[index]));
    for (int i = 0; i < checkpoint->state.history_count; i++)
        if (checkpoint->state.history[i].epoch == checkpoint->state.best_epoch)
            row = &checkpoint->state.history[i];
    if (row == NULL) {
        status = pd_fail("%s: its history lacks its best epoch", cross->best[index]);
        goto cleanup;
    }
    const double figures[FIGURES] = {row->val_loss, row->val_auc, row->val_accuracy,
                                     row->val_sensitivity, row->val_specificity};
    memcpy(cross->figures[index], figures, sizeof figures);
    cross->epochs[index] = row->epoch;
cleanup:
    pd_checkpoint_destroy(&checkpoint);
    return status;
}

typedef struct summary {
    double mean, deviation, least, most;
} summary;

/* The deviation is the sample standard deviation, with count - 1. */
static summary summarise(const cross_run *cross, int figure)
{
    int parts = cross->options->parts;
    summary out = {.least = INFINITY, .most = -INFINITY};
    for (int i = 0; i < parts; i++) {
        double value = cross->figures[i][figure];
        out.mean += value / parts;
        out.least = fmin(out.least, value);
        out.most = fmax(out.most, value);
    }
    for (int i = 0; i < parts; i++) {
        double difference = cross->figures[i][figure] - out.mean;
        out.deviation += difference * difference / (parts - 1);
    }
    out.deviation = sqrt(out.deviation);
    return out;
}

static void print_row(const char *name, const double *figures)
{
    printf("  %-18s", name);
    for (int i = 0; i < FIGURES; i++)
        printf("  %11.4f", figures[i]);
    putchar('\n');
}

static void print_figures(const cross_run *cross)
{
    double mean[FIGURES], deviation[FIGURES], least[FIGURES], most[FIGURES];
    printf("validation of %d parts, each at its own best epoch and threshold\n\n  %-18s",
           cross->options->parts, "");
    for (int i = 0; i < FIGURES; i++) {
        const summary of = summarise(cross, i);
        mean[i] = of.mean;
        deviation[i] = of.deviation;
        least[i] = of.least;
        most[i] = of.most;
        printf("  %11s", figure_names[i] + strlen("val_"));
    }
    putchar('\n');
    for (int i = 0; i < cross->options->parts; i++) {
        char name[48];
        snprintf(name, sizeof name, "part %d, epoch %lld", i + 1, (long long)cross->epochs[i]);
        print_row(name, cross->figures[i]);
    }
    print_row("mean", mean);
    print_row("standard deviation", deviation);
    print_row("least", least);
    print_row("most", most);
    putchar('\n');
}

/* cross.csv: a row per part. */
static pd_status write_figures(const cross_run *cross)
{
    pd_status status = PD_OK;
    char *text = NULL, *path = NULL, number[PD_TEXT_NUMBER];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return pd_fail("out of memory: cannot write cross.csv");
    fputs("part,epoch", out);
    for (int i = 0; i < FIGURES; i++)
        fprintf(out, ",%s", figure_names[i]);
    for (int part = 0; part < cross->options->parts; part++) {
        fprintf(out, "\n%d,%lld", part + 1, (long long)cross->epochs[part]);
        for (int i = 0; i < FIGURES; i++)
            fprintf(out, ",%s", pd_text_number(number, cross->figures[part][i]));
    }
    fputc('\n', out);
    if (fclose(out) != 0) {
        status = pd_fail_system("out of memory: cannot write cross.csv");
        goto cleanup;
    }
    PD_TRY(pd_run_path(&path, cross->job->folder, "cross.csv"));
    PD_TRY(pd_file_write(path, text, size));
cleanup:
    free(text);
    free(path);
    return status;
}

static pd_status report_figures(cross_run *cross)
{
    pd_status status = PD_OK;
    for (int i = 0; i < cross->options->parts; i++)
        PD_TRY(read_figures(cross, i));
    PD_TRY(write_figures(cross));
    print_figures(cross);
cleanup:
    return status;
}

/* --- Their average --- */

/* Writes the average. Keeps the count of evaluations of the test fold in an earlier file.
 */
static pd_status save_average(pd_classifier *classifier, const char *path)
{
    pd_ensemble *before = NULL;
    pd_checkpoint *whole = pd_classifier_checkpoint(classifier);
    if (pd_file_exists(path) && pd_ensemble_load(&before, path) == PD_OK &&
        before->whole.test_looks > whole->test_looks)
        whole->test_looks = before->whole.test_looks;
    pd_ensemble_destroy(&before);
    return pd_ensemble_save(path, pd_classifier_ensemble(classifier));
}

/* Collective. */
static pd_status average(cross_run *cross)
{
    pd_status status = PD_OK;
    pd_classifier *classifier = NULL;
    char *path = NULL;
    const pd_ensemble_options options = {.paths = (const char *const *)cross->best,
                                         .count = cross->options->parts,
                                         .data = cross->job->file,
                                         .threads = cross->options->threads};
    PD_TRY(pd_run_path(&path, cross->job->folder, "ensemble.h5"));
    PD_TRY(pd_ensemble_assemble(&classifier, cross->comm, &options));
    if (pd_comm_rank(cross->comm) == 0)
        status = save_average(classifier, path);
    PD_TRY(pd_comm_agree(cross->comm, status));
    pd_classifier_destroy(&classifier);
    PD_TRY(
        pd_train_report(cross->comm, cross->job, cross->options->threads, path, &cross->trained));
cleanup:
    pd_classifier_destroy(&classifier);
    free(path);
    return status;
}

static pd_status gather(cross_run *cross)
{
    pd_status status = PD_OK;
    cross->trained.images_per_second /= cross->trained.seconds;
    for (int i = 0; i < cross->options->parts && status == PD_OK; i++)
        status = pd_format(&cross->best[i], "%s/cross-%d/best.h5", cross->job->folder, i + 1);
    if (status == PD_OK && pd_comm_rank(cross->comm) == 0)
        status = report_figures(cross);
    PD_TRY(pd_comm_agree(cross->comm, status));
    PD_TRY(average(cross));
cleanup:
    return status;
}

/* Fails if the folder contains a run, whose reports would be overwritten. Locks it for all parts
 * together: single parts may run at the same time. */
static pd_status claim_folder(const char *folder, bool whole)
{
    pd_status status = PD_OK;
    char *last = NULL;
    PD_TRY(pd_run_check_folder(folder));
    if (whole) {
        PD_TRY(pd_folder_make(folder));
        PD_TRY(pd_lock_take(folder, "wait until it ends, or choose another folder with --run"));
    }
    PD_TRY(pd_run_path(&last, folder, "last.h5"));
    if (pd_file_exists(last))
        status = pd_fail("%s already contains a run; choose another folder with --run", folder);
cleanup:
    free(last);
    return status;
}

pd_status pd_cross_train(pd_comm *comm, const pd_job *job, const pd_cross_options *options)
{
    pd_status status = PD_OK;
    cross_run cross = {.comm = comm, .job = job, .options = options};
    int first = options->part > 0 ? options->part : 1;
    int last = options->part > 0 ? options->part : options->parts;
    if (pd_comm_rank(comm) == 0)
        status = claim_folder(job->folder, options->part == 0);
    PD_TRY(pd_comm_agree(comm, status));
    for (int part = first; part <= last; part++)
        PD_TRY(train_part(&cross, part));
    if (options->part == 0)
        status = gather(&cross);
cleanup:
    for (int i = 0; i < PD_CROSS_MOST; i++)
        free(cross.best[i]);
    return status;
}
