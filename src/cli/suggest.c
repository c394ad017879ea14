#include "suggest.h"

#include "pneumo/base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void pd_suggest(char text[PD_SUGGESTION], const char *dashes, const char *word,
                const char *const *names, int count)
{
    const char *nearest = "";
    size_t length = strlen(word);
    int least = (int)(length + 1) / 3;
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        bool begins = length > 1 && strncmp(names[i], word, length) == 0;
        int distance = begins ? 1 : pd_text_distance(word, names[i]);
        /* Of two names at the same distance the longer one: a letter is more often left out than
         * replaced. */
        if (distance > least || (distance == least && strlen(names[i]) < strlen(nearest)))
            continue;
        least = distance;
        nearest = names[i];
    }
    if (nearest[0] != '\0')
        snprintf(text, PD_SUGGESTION, "; did you mean '%s%s'?", dashes, nearest);
}
