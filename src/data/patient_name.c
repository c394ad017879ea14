#include "patient_name.h"

#include "pneumo/base/memory.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* --- What tools add to names --- */

/* A part of the last component of a path that is removed. */
typedef struct tool_row {
    const char *pattern;
    bool sure; /* an original name hardly contains it */
} tool_row;

#define EXTENSION "(jpe?g|jpe|jfif|png|bmp|gif|tiff?|webp|pgm|ppm|dcm|dicom)"
#define CHANGE    "(aug(mented)?|([hv]_?)?flip(ped)?|mirror(ed)?|rot(ated?)?)"

static const tool_row tool_rows[] = {
    {"\\." EXTENSION "$", true},
    {"_" EXTENSION "\\.rf\\.[0-9a-z]+$", true},  /* Roboflow */
    {" - copy( \\([0-9]+\\))?$", true},          /* Windows */
    {"[ _-]copy([ _-]?[0-9]+)?$", true},         /* macOS, GNOME */
    {"^copy( \\([0-9]+\\))? of ", true},         /* older ones */
    {" ?\\([0-9]+\\)$", false},                  /* browsers; but also "scan (2)" */
    {"[ _-]" CHANGE "([ _-]?[hv0-9]+)*$", true}, /* scripts that augment */
    {"^" CHANGE "[ _-]([0-9]+[ _-])?", true},
};

/* --- Known names --- */

/* A published set. */
typedef struct name_row {
    const char *type;    /* of its numbers; unique in the table unless the numbers are the same */
    const char *word;    /* that all names contain: most names are rejected by it alone */
    const char *pattern; /* of the undone path; the second group is the number */
    pd_cause cause;
} name_row;

static const name_row name_rows[] = {
    {"bacteria", "person", "(^|/)person([0-9]+)_bacteria(_[0-9]+){1,2}$", PD_CAUSE_BACTERIA},
    {"virus", "person", "(^|/)person([0-9]+)_virus(_[0-9]+){1,2}$", PD_CAUSE_VIRUS},
    {"NORMAL2-IM", "NORMAL2-IM-", "(^|/)NORMAL2-IM-([0-9]+)(-[0-9]+){1,2}$", PD_CAUSE_UNKNOWN},
    {"IM", "IM-", "(^|/)IM-([0-9]+)(-[0-9]+){1,2}$", PD_CAUSE_UNKNOWN},
    {"NIH", "000", "(^|/)(000[0-9]{5})_[0-9]{3}$", PD_CAUSE_UNKNOWN}, /* not a date */
    {"CHNCXR", "CHNCXR_", "(^|/)CHNCXR_([0-9]+)_[01]$", PD_CAUSE_UNKNOWN},
    {"MCUCXR", "MCUCXR_", "(^|/)MCUCXR_([0-9]+)_[01]$", PD_CAUSE_UNKNOWN},
    {"CheXpert", "/study", "(^|/)patient([0-9]+)/study[0-9]+/[^/]+$", PD_CAUSE_UNKNOWN},
    {"MIMIC", "/s", "(^|/)p([0-9]+)/s[0-9]+/[^/]+$", PD_CAUSE_UNKNOWN},
};

enum { TOOLS = sizeof tool_rows / sizeof *tool_rows, NAMES = sizeof name_rows / sizeof *name_rows };

struct pd_name_rules {
    regex_t tools[TOOLS], names[NAMES];
    int tool_count, name_count; /* compiled */
};

pd_status pd_name_rules_create(pd_name_rules **out)
{
    pd_status status;
    pd_name_rules *rules = NULL;
    bool failed = false;

    *out = NULL;
    PD_TRY(pd_alloc(&rules, 1, sizeof *rules));
    for (int i = 0; i < TOOLS && !failed; i++) {
        failed = regcomp(&rules->tools[i], tool_rows[i].pattern, REG_EXTENDED | REG_ICASE) != 0;
        rules->tool_count += !failed;
    }
    for (int i = 0; i < NAMES && !failed; i++) {
        failed = regcomp(&rules->names[i], name_rows[i].pattern, REG_EXTENDED | REG_ICASE) != 0;
        rules->name_count += !failed;
    }
    if (failed) {
        status = pd_fail("out of memory for the patterns of file names");
        goto cleanup;
    }
    *out = rules;
    rules = NULL;

cleanup:
    pd_name_rules_destroy(&rules);
    return status;
}

void pd_name_rules_destroy(pd_name_rules **rules)
{
    if (*rules == NULL)
        return;
    for (int i = 0; i < (*rules)->tool_count; i++)
        regfree(&(*rules)->tools[i]);
    for (int i = 0; i < (*rules)->name_count; i++)
        regfree(&(*rules)->names[i]);
    free(*rules);
    *rules = NULL;
}

/* Removes one addition; false if there is none, or nothing else. */
static bool undo_one(char *name, const pd_name_rules *rules, bool sure_only)
{
    for (int i = 0; i < TOOLS; i++) {
        regmatch_t match;
        if ((sure_only && !tool_rows[i].sure) ||
            regexec(&rules->tools[i], name, 1, &match, 0) != 0 ||
            (match.rm_so == 0 && name[match.rm_eo] == '\0'))
            continue;
        memmove(name + match.rm_so, name + match.rm_eo, strlen(name + match.rm_eo) + 1);
        return true;
    }
    return false;
}

void pd_name_undo(char *path, const pd_name_rules *rules, bool sure_only)
{
    char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    while (undo_one(name, rules, sure_only))
        ;
}

pd_name_match pd_name_parse(const char *path, const pd_name_rules *rules)
{
    for (int i = 0; i < NAMES; i++) {
        regmatch_t groups[3];
        if (strcasestr(path, name_rows[i].word) == NULL ||
            regexec(&rules->names[i], path, 3, groups, 0) != 0)
            continue;
        pd_name_match match = {.type = name_rows[i].type,
                               .start = (int)groups[2].rm_so,
                               .end = (int)groups[2].rm_eo,
                               .cause = name_rows[i].cause};
        while (path[match.start] == '0' && match.start + 1 < match.end)
            match.start++;
        return match;
    }
    return (pd_name_match){.cause = PD_CAUSE_UNKNOWN};
}
