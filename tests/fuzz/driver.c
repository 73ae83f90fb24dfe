/* A small coverage-guided fuzzer for compilers without libFuzzer: gcc with -fsanitize-coverage=trace-pc.
 *
 *     driver SEEDS RUNS SECONDS CRASH
 *
 * mutates the files of the folder SEEDS, keeps what reaches a new edge, and stops after RUNS runs or SECONDS seconds. The
 * input of a run that a sanitizer stops, or a harness aborts, is written to CRASH. The same seeds and RUNS give the same
 * inputs. With clang, -fsanitize=fuzzer takes the place of this file.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_BYTES 4096u
#define MOST_INPUTS 4096u
#define EDGES 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_set_death_callback(void (*callback)(void));
void __sanitizer_cov_trace_pc(void);

typedef struct {
    uint8_t *bytes;
    size_t size;
} input_t;

static uint8_t reached[EDGES];
static uint32_t n_edges, n_new;
static uintptr_t previous;
static input_t corpus[MOST_INPUTS];
static uint32_t n_inputs, random_state = 2463534242u;
static uint8_t current[MOST_BYTES];
static size_t current_size;
static const char *crash_path;

/* Called by the instrumented code at every block. */
void __sanitizer_cov_trace_pc(void)
{
    const uintptr_t here = (uintptr_t)__builtin_return_address(0);
    const uint32_t edge = (uint32_t)((here ^ previous) & (EDGES - 1u));
    previous = here >> 1;
    n_new += reached[edge] == 0;
    reached[edge] = 1;
}

static void keep_crash(void)
{
    FILE *file = fopen(crash_path, "wb");
    if (file != NULL) {
        (void)fwrite(current, 1, current_size, file);
        (void)fclose(file);
    }
}

static void aborted(int number)
{
    keep_crash();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % n;
}

static void keep(void)
{
    if (n_inputs < MOST_INPUTS) {
        corpus[n_inputs].bytes = malloc(current_size + 1u);
        if (corpus[n_inputs].bytes != NULL) {
            memcpy(corpus[n_inputs].bytes, current, current_size);
            corpus[n_inputs++].size = current_size;
        }
    }
}

static void run_one(void)
{
    uint8_t *copy = malloc(current_size + 1u); /* of its own, so that a read beyond its end is seen */
    if (copy == NULL) {
        return;
    }
    uint8_t *data = copy + 1;
    memcpy(data, current, current_size);
    n_new = 0;
    previous = 0;
    (void)LLVMFuzzerTestOneInput(data, current_size);
    free(copy);
    if (n_new > 0) {
        n_edges += n_new;
        keep();
    }
}

static void change_once(void)
{
    static const uint8_t telling[8] = {0, 1, 0x7F, 0x80, 0xFF, 0x40, 0x20, 0xFE};
    const uint32_t kind = random_below(6), at = current_size ? random_below((uint32_t)current_size) : 0;
    if (kind == 0 && current_size) {
        current[at] = (uint8_t)(current[at] ^ (1u << random_below(8)));
    } else if (kind == 1 && current_size) {
        current[at] = telling[random_below(8)];
    } else if (kind == 2 && current_size) {
        current[at] = (uint8_t)random_below(256);
    } else if (kind == 3 && current_size > 1) {
        current_size -= random_below((uint32_t)current_size - at); /* cut the end */
    } else if (kind == 4 && current_size < MOST_BYTES) {
        const uint32_t n = 1u + random_below((uint32_t)(MOST_BYTES - current_size));
        memset(current + current_size, telling[random_below(8)], n);
        current_size += n;
    } else if (n_inputs > 0) {
        const input_t other = corpus[random_below(n_inputs)]; /* go on as another input does */
        if (other.size > at) {
            memcpy(current + at, other.bytes + at, other.size - at);
            current_size = other.size;
        }
    }
}

static void read_seeds(const char *folder)
{
    DIR *listing = opendir(folder);
    char path[4096];
    for (struct dirent *entry = listing ? readdir(listing) : NULL; entry != NULL; entry = readdir(listing)) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (file != NULL) {
            current_size = fread(current, 1, MOST_BYTES, file);
            (void)fclose(file);
            run_one();
            keep();
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        (void)fprintf(stderr, "driver SEEDS RUNS SECONDS CRASH\n");
        return 2;
    }
    const unsigned long most_runs = strtoul(argv[2], NULL, 10);
    const time_t until = time(NULL) + (time_t)strtoul(argv[3], NULL, 10);
    unsigned long runs = 0;
    crash_path = argv[4];
    __sanitizer_set_death_callback(keep_crash);
    (void)signal(SIGABRT, aborted);
    read_seeds(argv[1]);
    if (n_inputs == 0) {
        (void)fprintf(stderr, "no seeds in %s\n", argv[1]);
        return 2;
    }
    for (; runs < most_runs && (runs % 64u || time(NULL) < until); runs++) {
        const input_t from = corpus[random_below(n_inputs)];
        memcpy(current, from.bytes, from.size);
        current_size = from.size;
        for (uint32_t i = 1u + random_below(6); i > 0; i--) {
            change_once();
        }
        run_one();
    }
    (void)printf("{\"runs\": %lu, \"edges\": %u, \"inputs\": %u}\n", runs, n_edges, n_inputs);
    return 0;
}
