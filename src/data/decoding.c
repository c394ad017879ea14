#include "draft.h"

#include "dealer.h"
#include "decoder.h"
#include "pneumo/base/log.h"
#include "pneumo/base/progress.h"
#include "team.h"

/* What decoding works on; `drafts`, `scan` and `dealer` are rank 0's. */
typedef struct decoding {
    pd_draft *drafts;
    pd_parts *parts;
    const pd_scan *scan;
    const pd_draft_options *options;
    pd_dealer *dealer;
    pd_progress progress;
    pd_bytes work, report;
} decoding;

static bool is_first(const decoding *d)
{
    return d->options->team->rank == 0;
}

/* Takes the images that an earlier run has decoded. Collective. */
static pd_status resume(decoding *d)
{
    pd_status status;
    const pd_team *team = d->options->team;
    int64_t taken = 0;

    if (d->parts->plan.count == 0)
        return PD_OK;
    d->report.size = 0;
    PD_TRY(pd_team_agree(team, pd_decoder_resume(&d->report, d->parts)));
    PD_TRY(pd_team_gather(team, &d->report));
    if (is_first(d))
        status = pd_dealer_take_old(&taken, d->dealer, &d->report);
    PD_TRY(pd_team_follow(team, status));
    if (taken > 0)
        pd_log_info("%s: continuing: %lld of %lld images are already decoded", d->parts->output,
                    (long long)taken, (long long)d->scan->count);
    else if (is_first(d))
        pd_log_info("%s: its part files are of other images, options or versions: decoding all",
                    d->parts->output);

cleanup:
    return status;
}

/* Decodes a round; d->work is empty behind the last one. Collective. */
static pd_status decode_round(decoding *d)
{
    pd_status status = PD_OK;
    const pd_team *team = d->options->team;
    const pd_decoder_options decoder = {
        .folder = d->options->folder, .rank = team->rank, .threads = d->options->threads};

    if (is_first(d))
        status = pd_dealer_deal(&d->work, d->dealer);
    PD_TRY(pd_team_follow(team, status));
    PD_TRY(pd_team_broadcast(team, &d->work));
    if (d->work.size == 0)
        return PD_OK;
    d->report.size = 0;
    PD_TRY(pd_team_agree(team, pd_decoder_run(&d->report, d->parts, &d->work, &decoder)));
    PD_TRY(pd_team_gather(team, &d->report));
    if (is_first(d))
        status = pd_dealer_take(d->dealer, &d->report);
    PD_TRY(pd_team_follow(team, status));
    if (is_first(d))
        pd_progress_update(&d->progress, (uint64_t)pd_dealer_done(d->dealer), NULL);

cleanup:
    return status;
}

pd_status pd_drafts_decode(pd_draft *drafts, pd_parts *parts, const pd_scan *scan,
                           const pd_draft_options *options)
{
    pd_status status = PD_OK;
    decoding d = {.drafts = drafts, .parts = parts, .scan = scan, .options = options};

    if (is_first(&d))
        status = pd_dealer_create(&d.dealer, drafts, scan, options);
    PD_TRY(pd_team_follow(options->team, status));
    PD_TRY(resume(&d));
    if (is_first(&d))
        pd_progress_begin(&d.progress, "packing", (uint64_t)pd_dealer_done(d.dealer),
                          (uint64_t)scan->count);
    do
        PD_TRY(decode_round(&d));
    while (d.work.size > 0);
    PD_TRY(pd_team_agree(options->team, pd_parts_finish(parts)));

cleanup:
    pd_progress_end(&d.progress);
    pd_dealer_destroy(&d.dealer);
    pd_bytes_free(&d.work);
    pd_bytes_free(&d.report);
    return status;
}
