#include "remarks.h"

#include "pneumo/base/log.h"
#include "pneumo/base/text.h"

/* Says what became of patients that different sources identify. */
static void say_sources(const pd_patient_tally *tally)
{
    char sources[128];
    pd_patients_list_sources(sources, sizeof sources, tally);
    if (tally->united > 0)
        pd_log_info(
            "%lld patient%s different IDs in one source but the same ID in another and %s as "
            "one: %s",
            (long long)tally->united, tally->united == 1 ? " has" : "s have",
            tally->united == 1 ? "counts" : "count", sources);
    if (tally->apart > 0)
        pd_log_warn("patients come from several sources: %s; %lld of these images cannot be "
                    "compared with those of other sources, so one patient can count as two and be "
                    "in two folds: give all patients by one source, such as a table or "
                    "--patient-pattern REGEX",
                    sources, (long long)tally->apart);
}

pd_status pd_remarks_on_patients(const pd_sample *samples, int64_t count, const char *folder,
                                 const char *pattern, const pd_patient_tally *tally)
{
    int64_t unknown = tally->images[PD_PATIENT_UNKNOWN], at = tally->example[PD_PATIENT_UNKNOWN];
    /* A set that is appended to does not say which of its images are unknown. */
    const char *example = at >= 0 ? samples[at].name : NULL;
    if (example != NULL && pattern != NULL && tally->images[PD_PATIENT_PATTERN] == 0)
        return pd_fail("%s: the pattern of patients '%s' matches none of the paths, such as %s",
                       folder, pattern, example);
    if (unknown > 0)
        pd_log_warn("the patient of %lld of %lld images is unknown%s%s: each of them counts as a "
                    "patient of its own, so images of one patient can be in several folds and "
                    "figures too good; --patient-pattern REGEX takes the patient from the path",
                    (long long)unknown, (long long)count,
                    example != NULL ? ", for example of " : "", example != NULL ? example : "");
    say_sources(tally);
    return PD_OK;
}

pd_status pd_remarks_on_leaks(int64_t *leaks, const pd_sample *samples, int64_t count,
                              int64_t unknown)
{
    int32_t example;
    pd_status status = pd_folds_leaks(leaks, &example, samples, count);
    if (status != PD_OK || *leaks == 0)
        return status;
    int64_t i = 0;
    while (samples[i].patient != example)
        i++;
    pd_log_warn(
        "%lld %s %s images in two of the folder's own folds, for example that of %s; figures "
        "will be too good (--folds 70/15/15 keeps each in one fold)",
        (long long)*leaks, pd_patients_noun_of(unknown, *leaks), *leaks == 1 ? "has" : "have",
        samples[i].name);
    return PD_OK;
}

static const char *const empty_fold_means[PD_FOLDS] = {
    "no model can be trained on this data set",
    "training on this data set cannot choose a threshold or the best epoch (--val-from-train P "
    "with "
    "'--folds keep', or --folds 70/15/15, fills it)",
    "nothing tells how well a model does on new images"};

void pd_remarks_on_empty_folds(const pd_dataset_info *info)
{
    int64_t all[PD_FOLDS];
    for (int fold = 0; fold < PD_FOLDS; fold++) {
        all[fold] = info->counts[fold][PD_NORMAL] + info->counts[fold][PD_PNEUMONIA];
        if (all[fold] == 0)
            pd_log_warn("the fold %s is empty: %s", pd_fold_names[fold], empty_fold_means[fold]);
    }
}

void pd_remarks_on_shapes(const pd_shapes *shapes)
{
    bool aspect = shapes->separations[PD_SHAPE_ASPECT].is_shortcut;
    bool area = shapes->separations[PD_SHAPE_AREA].is_shortcut;
    if (aspect || area)
        pd_log_warn(
            "the classes can be told apart by the %s of the images alone, a shortcut that a "
            "model can learn instead of the disease; the figures by shape and size in the "
            "report show whether it does",
            !area     ? "shape"
            : !aspect ? "size"
                      : "shape and size");
}

void pd_remarks_on_drafts(const pd_draft_counts *counts, const char *remedy)
{
    if (counts->lateral > 0)
        pd_log_warn("left out: %lld lateral view%s%s", (long long)counts->lateral,
                    pd_text_plural(counts->lateral), remedy);
    if (counts->other > 0)
        pd_log_warn("left out: %lld image%s of other modalities than radiography",
                    (long long)counts->other, pd_text_plural(counts->other));
}

void pd_remarks_on_names(int64_t named)
{
    if (named > 0)
        pd_log_warn("%lld path%s the name, ID, birth date or accession number of the patient; "
                    "stored as NORMAL/image-000000.dcm and the like",
                    (long long)named, named == 1 ? " contains" : "s contain");
}
