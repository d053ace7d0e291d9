/* Sums the squares of the whole numbers from --from up to, but not including, --to.
 *
 * A task sees only its arguments, its environment, standard input and the files mounted for it.
 * What it prints, and what it writes under /out, is its result: the same bits on every machine. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *option(int argc, char **argv, const char *name) {
    for (int at = 1; at + 1 < argc; at++)
        if (strcmp(argv[at], name) == 0)
            return argv[at + 1];
    return NULL;
}

int main(int argc, char **argv) {
    const char *from = option(argc, argv, "--from");
    const char *to = option(argc, argv, "--to");
    if (from == NULL || to == NULL) {
        fprintf(stderr, "usage: %s --from A --to B\n", argv[0]);
        return 2;
    }
    unsigned long long first = strtoull(from, NULL, 10), end = strtoull(to, NULL, 10), sum = 0;
    for (unsigned long long n = first; n < end; n++)
        sum += n * n;
    printf("%llu,%llu,%llu\n", first, end, sum);
    return 0;
}
