/* Follows what an emulated program takes from flash through the caches of a board, and counts what is not in them.

   Unicorn calls `edgebci_on_fetch` for every block that the core runs and `edgebci_on_instruction` before every instruction, where the
   address of a load is worked out from the registers: with its own hook on reads, Unicorn 2.1 runs some programs wrongly. A cache is a
   table of line numbers + 1, `ways` to a set, the latest first (least recently used goes). A cache without sets holds only the line
   that was read last, as a flash interface without cache does. The layout of the structs is mirrored in flash_waits.py. */

#include <stdint.h>

typedef struct {
    uint32_t *lines; /* [sets * ways], at least one */
    uint32_t sets;
    uint32_t ways;
    uint32_t line_bytes;
    uint32_t last; /* line that missed last */
    uint64_t accesses;
    uint64_t misses;
    uint64_t next_misses; /* of these, of the line that follows the one that missed before: what a prefetch may have ready */
} cache_t;

typedef struct {
    uint32_t known; /* filled in; for the others the host is asked */
    uint32_t size;  /* bytes that the instruction loads; 0: it loads none */
    int32_t base;   /* registers by the emulator's numbers, or NONE */
    int32_t index;
    uint32_t shift;
    uint32_t offset;
} load_t;

typedef struct {
    cache_t *fetch;
    cache_t *read; /* the same one where a board has one cache for both */
    load_t *loads; /* one for each half word of code */
    void (*resolve)(uint32_t address);
    int (*read_register)(void *engine, int which, void *value);
    uint32_t start;
    uint32_t size;
} flash_t;

#define NONE (-1)

static void look_up(cache_t *cache, uint32_t line) {
    uint32_t *set = cache->lines + (cache->sets ? line % cache->sets * cache->ways : 0);
    const uint32_t ways = cache->sets ? cache->ways : 1;
    uint32_t at = 0;
    cache->accesses++;
    while (at < ways - 1 && set[at] != line + 1) {
        at++;
    }
    if (set[at] != line + 1) {
        cache->misses++;
        cache->next_misses += line == cache->last + 1;
        cache->last = line;
    }
    for (; at > 0; at--) {
        set[at] = set[at - 1];
    }
    set[0] = line + 1;
}

static void look_up_range(const flash_t *flash, cache_t *cache, uint32_t address, uint32_t size) {
    if (address - flash->start >= flash->size) {
        return;
    }
    const uint32_t end = (address + size - 1) / cache->line_bytes;
    for (uint32_t line = address / cache->line_bytes; line <= end; line++) {
        look_up(cache, line);
    }
}

void edgebci_on_fetch(void *engine, uint64_t address, uint32_t size, void *user_data) {
    const flash_t *flash = user_data;
    (void)engine;
    look_up_range(flash, flash->fetch, (uint32_t)address, size);
}

static uint32_t value_of(const flash_t *flash, void *engine, int32_t which) {
    uint32_t value = 0;
    if (which != NONE) {
        flash->read_register(engine, which, &value);
    }
    return value;
}

void edgebci_on_instruction(void *engine, uint64_t address, uint32_t size, void *user_data) {
    const flash_t *flash = user_data;
    const uint32_t at = (uint32_t)address - flash->start;
    (void)size;
    if (at >= flash->size) {
        return;
    }
    const load_t *load = &flash->loads[at / 2];
    if (!load->known) {
        flash->resolve((uint32_t)address);
    }
    if (load->size) {
        const uint32_t index = value_of(flash, engine, load->index) << load->shift;
        look_up_range(flash, flash->read, value_of(flash, engine, load->base) + index + load->offset, load->size);
    }
}
