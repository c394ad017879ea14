/* The known name that an unknown word was probably meant to be. */
#ifndef PNEUMO_CLI_SUGGEST_H
#define PNEUMO_CLI_SUGGEST_H

enum { PD_SUGGESTION = 96 };

/* Writes "; did you mean '<dashes><name>'?" with the one of names[count] that resembles `word`
 * most;
 * "" if none does. */
void pd_suggest(char text[PD_SUGGESTION], const char *dashes, const char *word,
                const char *const *names, int count);

#endif
