/* pneumo-dist synth: draws a folder of synthetic radiographs. */
#include "pneumo/data/synth.h"
#include "command.h"

#include <stdio.h>

typedef struct arguments {
    pd_synth_options synth;
    int64_t seed;
} arguments;

static const arguments defaults = {.synth = PD_SYNTH_DEFAULTS, .seed = 1};

static const pd_option options[] = {
    {"images", 'n', PD_OPTION_INT, offsetof(arguments, synth.images), "N",
     "number of images, over both classes (default 2000)", .low = PD_SYNTH_MIN,
     .high = PD_SYNTH_MAX},
    {"seed", 0, PD_OPTION_INT64, offsetof(arguments, seed), "N",
     "the same seed draws the same images (default 1)", .low = 0, .high = INT64_MAX},
    {"threads", 't', PD_OPTION_INT, offsetof(arguments, synth.threads), "N",
     "threads that draw (default: one per core that the program may use)", .low = 1, .high = 1024},
    {"truth", 0, PD_OPTION_FLAG, offsetof(arguments, synth.truth), NULL,
     .help = "also write DIR/truth.csv: each focal opacity (bacteria) as an ellipse, by its centre "
             "and half axes in pixels"},
    {0}};

static pd_status run(pd_comm *comm, void *values, char **operands, int count)
{
    arguments *given = values;
    pd_synth_options *synth = &given->synth;
    (void)comm;
    (void)count;
    synth->folder = operands[0];
    synth->seed = (uint64_t)given->seed;
    pd_status status = pd_synth(synth);
    if (status == PD_OK)
        printf("wrote %d synthetic radiographs to %s\n", synth->images, synth->folder);
    return status;
}

const pd_command pd_command_synth = {
    .name = "synth",
    .summary = "write a folder of synthetic radiographs (phantoms)",
    .description = "Draws synthetic chest radiographs into the new folder DIR, in the layout and "
                   "naming of the public data set, to try the program without data. Results on "
                   "phantoms do not apply to real radiographs.",
    .examples = "pneumo-dist synth phantoms --images 2000\n"
                "pneumo-dist pack phantoms -o phantoms.h5",
    .operands = {{"DIR", PD_COMPLETE_FOLDERS}},
    .options = options,
    .options_size = sizeof(arguments),
    .defaults = &defaults,
    .run = run,
    .one_rank = true,
};
