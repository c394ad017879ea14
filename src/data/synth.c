#include "pneumo/data/synth.h"

#include "phantom.h"
#include "pneumo/base/host.h"
#include "pneumo/base/memory.h"
#include "pneumo/base/progress.h"
#include "pneumo/base/random.h"
#include "pneumo/base/stop.h"
#include "pneumo/io/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUALITY = 92 };

/* An image to draw. Numbers start at 1, as in the public data set. */
typedef struct image_plan {
    pd_cause cause;
    int patient;
    int image;  /* of this patient */
    int serial; /* of this cause */
} image_plan;

/* Plans `count` images of one cause in plans[count]. Most patients have one image, some up to six.
 */
static void plan_cause(image_plan *plans, int count, pd_cause cause, uint64_t seed)
{
    /* No patient has the largest number. */
    pd_random random = pd_random_stream(seed, PD_PURPOSE_PHANTOM, (1 << 24) - 1, (uint64_t)cause);
    int patient = 0, left = 0, image = 0;
    for (int i = 0; i < count; i++, left--) {
        if (left == 0) {
            patient++;
            image = 0;
            left = 1;
            while (left < 6 && pd_random_uniform(&random) < 0.3f)
                left++;
        }
        plans[i] = (image_plan){cause, patient, ++image, i + 1};
    }
}

/* Stores the path below the folder at *out; released with free(). */
static pd_status name_image(char **out, const image_plan *plan)
{
    if (plan->cause == PD_CAUSE_NONE)
        return pd_format(out, "train/NORMAL/IM-%04d-%04d.jpeg", plan->patient, plan->image);
    return pd_format(out, "train/PNEUMONIA/person%d_%s_%d.jpeg", plan->patient,
                     plan->cause == PD_CAUSE_BACTERIA ? "bacteria" : "virus", plan->serial);
}

static pd_status write_image(pd_opacity *opacity, const image_plan *plan,
                             const pd_synth_options *options)
{
    pd_status status;
    pd_image image = {0};
    char *name = NULL, *path = NULL;

    PD_TRY(name_image(&name, plan));
    PD_TRY(pd_format(&path, "%s/%s", options->folder, name));
    PD_TRY(
        pd_phantom_draw(&image, opacity, options->seed, plan->cause, plan->patient, plan->image));
    PD_TRY(pd_image_write_jpeg(path, &image, QUALITY));

cleanup:
    pd_image_free(&image);
    free(name);
    free(path);
    return status;
}

static pd_status write_truth(const pd_opacity *opacities, const image_plan *plans,
                             const pd_synth_options *options)
{
    pd_status status;
    char *path = NULL, *text = NULL;
    size_t size;
    FILE *file = NULL;

    PD_TRY(pd_format(&path, "%s/truth.csv", options->folder));
    file = open_memstream(&text, &size);
    if (file == NULL) {
        status = pd_fail("out of memory for %s", path);
        goto cleanup;
    }
    fputs("path,row,column,row_radius,column_radius\n", file);
    for (int i = 0; i < options->images; i++) {
        const pd_opacity *o = &opacities[i];
        char *name;
        PD_TRY(name_image(&name, &plans[i]));
        fputs(name, file);
        free(name);
        if (plans[i].cause == PD_CAUSE_BACTERIA)
            fprintf(file, ",%.1f,%.1f,%.1f,%.1f\n", (double)o->cy, (double)o->cx, (double)o->ry,
                    (double)o->rx);
        else
            fputs(",,,,\n", file);
    }
    bool failed = ferror(file);
    failed = fclose(file) != 0 || failed;
    file = NULL;
    status = failed ? pd_fail("out of memory for %s", path) : pd_file_write(path, text, size);

cleanup:
    if (file != NULL)
        fclose(file);
    free(text);
    free(path);
    return status;
}

/* Fails if `folder` exists but is not an empty folder, apart from what a killed process may have
 * left there under a hidden name. */
static pd_status check_folder(const char *folder, bool allow_hidden)
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return errno == ENOENT ? PD_OK : pd_fail("cannot write to %s: %s", folder, strerror(errno));
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(directory)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                (allow_hidden && entry->d_name[0] == '.');
    closedir(directory);
    return empty ? PD_OK : pd_fail("%s is not empty; give a new or an empty folder", folder);
}

static pd_status make_class_folder(const char *folder, const char *name)
{
    char *path;
    pd_status status = pd_format(&path, "%s/train/%s", folder, name);
    if (status == PD_OK) {
        status = pd_folder_make(path);
        free(path);
    }
    return status;
}

static pd_status check_options(const pd_synth_options *options)
{
    if (options->images < PD_SYNTH_MIN || options->images > PD_SYNTH_MAX)
        return pd_fail("cannot draw %d images; choose %d to %d", options->images, PD_SYNTH_MIN,
                       PD_SYNTH_MAX);
    if (options->threads < 0)
        return pd_fail("cannot use %d threads; choose 1 or more", options->threads);
    if (options->folder[0] == '\0')
        return pd_fail("the folder to draw into has no name");
    return PD_OK;
}

/* As in the public data set: 27 percent normal, and 65 percent of the others bacterial. */
static void plan_images(image_plan *plans, const pd_synth_options *options)
{
    int normal = (options->images * 27LL + 50) / 100;
    int bacteria = ((options->images - normal) * 65LL + 50) / 100;
    int virus = options->images - normal - bacteria;
    plan_cause(plans, normal, PD_CAUSE_NONE, options->seed);
    plan_cause(plans + normal, bacteria, PD_CAUSE_BACTERIA, options->seed);
    plan_cause(plans + normal + bacteria, virus, PD_CAUSE_VIRUS, options->seed);
}

/* Draws and writes all images. After a failure the remaining ones are skipped. */
static pd_status write_images(pd_opacity *opacities, const image_plan *plans,
                              const pd_synth_options *options)
{
    pd_failure failure = {0};
    pd_progress progress;
    int threads = options->threads > 0 ? options->threads : pd_host_threads(), done = 0;

    pd_progress_begin(&progress, "drawing", 0, (uint64_t)options->images);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int i = 0; i < options->images; i++) {
        if (pd_failure_is_kept(&failure) || pd_stop_requested())
            continue;
        pd_failure_keep(&failure, write_image(&opacities[i], &plans[i], options));
#pragma omp critical(pd_synth)
        pd_progress_update(&progress, (uint64_t)++done, NULL);
    }
    pd_progress_end(&progress);
    pd_status status = pd_failure_return(&failure);
    return status == PD_OK && pd_stop_requested() ? PD_STOPPED : status;
}

/* Draws into the folder of the options. */
static pd_status draw(const pd_synth_options *options)
{
    pd_status status;
    image_plan *plans = NULL;
    pd_opacity *opacities = NULL; /* [images] */

    PD_TRY(make_class_folder(options->folder, pd_label_names[PD_NORMAL]));
    PD_TRY(make_class_folder(options->folder, pd_label_names[PD_PNEUMONIA]));
    PD_TRY(pd_alloc(&plans, (size_t)options->images, sizeof *plans));
    PD_TRY(pd_alloc(&opacities, (size_t)options->images, sizeof *opacities));
    plan_images(plans, options);
    PD_TRY(write_images(opacities, plans, options));
    if (options->truth)
        PD_TRY(write_truth(opacities, plans, options));

cleanup:
    free(opacities);
    free(plans);
    return status;
}

pd_status pd_synth(const pd_synth_options *options)
{
    pd_status status;
    pd_synth_options aside = *options;
    char *temporary = NULL;

    PD_TRY(check_options(options));
    PD_TRY(check_folder(options->folder, true));
    PD_TRY(pd_folder_temporary(&temporary, options->folder));
    PD_TRY(check_folder(options->folder, false));
    aside.folder = temporary;
    pd_stop_defer("removing the images drawn so far");
    status = draw(&aside);
    if (status == PD_OK)
        status = pd_folder_commit(temporary, options->folder);
    if (status != PD_OK)
        pd_folder_remove(temporary);
    pd_stop_resume();

cleanup:
    free(temporary);
    return status;
}
