/* Follows what an emulated program takes from flash through the caches of a board, and counts what is not in them.

   Unicorn calls `edgebci_on_fetch` for every block that the core runs and `edgebci_on_read` for every load from flash. A cache is a
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
    cache_t *fetch;
    cache_t *read; /* the same one where a board has one cache for both */
    uint32_t start;
    uint32_t size;
} flash_t;

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

void edgebci_on_read(void *engine, int type, uint64_t address, int size, int64_t value, void *user_data) {
    const flash_t *flash = user_data;
    (void)engine, (void)type, (void)value;
    look_up_range(flash, flash->read, (uint32_t)address, (uint32_t)size);
}
