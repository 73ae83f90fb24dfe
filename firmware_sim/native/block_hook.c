/* Counts how often each edge between basic blocks of an emulated program is taken.

   Unicorn calls `edgebci_on_block` at the start of every block that the core runs. A block is known by its address, its size and its
   region; a region is a part of the program that is costed apart: it is entered through a given function and left when that function
   returns. Each call counts one edge, from the block before to this one; block 0 stands for "the host called a function". Nothing is
   ever dropped: when a table is full, the run stops and says so. The layout of the structs is mirrored in block_profile.py. */

#include <stdint.h>

#define REGION_DEPTH 8u
#define NOWHERE 0xffffffffu
#define ARM_REG_LR 10 /* UC_ARM_REG_LR; checked by block_profile.py */

enum { RUNNING = 0, LIMIT_REACHED = 1, TABLE_FULL = 2 };

typedef struct {
    uint64_t key[2];  /* what was taken from here before: address and size */
    uint32_t edge[2]; /* ... by which edge */
    uint32_t address;
    uint32_t size;         /* bytes */
    uint32_t instructions; /* in the block, those with a failed condition included */
    uint32_t region;
} block_t;

typedef struct {
    uint64_t count;
    uint32_t from; /* block indices */
    uint32_t to;
} edge_t;

typedef struct {
    uint32_t region;
    uint32_t return_address;
} region_frame_t;

typedef struct {
    block_t *blocks;
    edge_t *edges;
    uint32_t *block_slots; /* open addressing; 0 is empty, else index + 1 */
    uint32_t *edge_slots;
    const uint32_t *region_entries; /* address of the function that enters region i + 1 */
    const uint8_t *code;
    int (*stop)(void *engine);
    int (*read_register)(void *engine, int which, void *value);
    uint64_t instructions;
    uint64_t instruction_limit;
    uint32_t code_address;
    uint32_t code_size;
    uint32_t n_region_entries;
    uint32_t capacity; /* of blocks and of edges; a power of two. There are twice as many slots */
    uint32_t n_blocks;
    uint32_t n_edges;
    uint32_t current; /* block */
    uint32_t depth;
    uint32_t stopped;
    uint32_t return_address; /* of the innermost region, or NOWHERE */
    region_frame_t frames[REGION_DEPTH];
} profile_t;

static uint32_t hash(uint64_t key) { return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32); }

static void give_up(profile_t *profile, void *engine, uint32_t why) {
    profile->stopped = why;
    profile->stop(engine);
}

static uint32_t count_instructions(const profile_t *profile, uint32_t address, uint32_t size) {
    const uint8_t *code = profile->code + (address - profile->code_address);
    uint32_t n = 0;
    for (uint32_t at = 0; at < size; n++) {
        /* A first halfword of 0b11101, 0b11110 or 0b11111 begins a 32-bit instruction. */
        at += (code[at + 1] >> 3) >= 0x1d ? 4 : 2;
    }
    return n;
}

static uint32_t region_after(profile_t *profile, void *engine, uint32_t address) {
    if (profile->depth > 0 && address == profile->return_address) {
        profile->depth--;
        profile->return_address = profile->depth > 0 ? profile->frames[profile->depth - 1].return_address : NOWHERE;
    }
    for (uint32_t i = 0; i < profile->n_region_entries; i++) {
        if (address == profile->region_entries[i] && profile->depth < REGION_DEPTH) {
            uint32_t link = 0;
            profile->read_register(engine, ARM_REG_LR, &link);
            profile->return_address = link & ~1u;
            profile->frames[profile->depth++] = (region_frame_t){i + 1, profile->return_address};
        }
    }
    return profile->depth > 0 ? profile->frames[profile->depth - 1].region : 0;
}

static uint32_t find_block(profile_t *profile, uint32_t address, uint32_t size, uint32_t region) {
    const uint32_t mask = 2 * profile->capacity - 1;
    uint32_t slot = hash(((uint64_t)address << 32 | size) ^ (uint64_t)region << 24) & mask;
    for (; profile->block_slots[slot] != 0; slot = (slot + 1) & mask) {
        const block_t *block = &profile->blocks[profile->block_slots[slot] - 1];
        if (block->address == address && block->size == size && block->region == region) {
            return profile->block_slots[slot] - 1;
        }
    }
    if (profile->n_blocks == profile->capacity) {
        return NOWHERE;
    }
    const uint32_t instructions = count_instructions(profile, address, size);
    profile->blocks[profile->n_blocks] = (block_t){{0, 0}, {0, 0}, address, size, instructions, region};
    profile->block_slots[slot] = ++profile->n_blocks;
    return profile->n_blocks - 1;
}

static uint32_t find_edge(profile_t *profile, uint32_t from, uint32_t to) {
    const uint32_t mask = 2 * profile->capacity - 1;
    uint32_t slot = hash((uint64_t)from << 32 | to) & mask;
    for (; profile->edge_slots[slot] != 0; slot = (slot + 1) & mask) {
        const edge_t *edge = &profile->edges[profile->edge_slots[slot] - 1];
        if (edge->from == from && edge->to == to) {
            return profile->edge_slots[slot] - 1;
        }
    }
    if (profile->n_edges == profile->capacity) {
        return NOWHERE;
    }
    profile->edges[profile->n_edges] = (edge_t){0, from, to};
    profile->edge_slots[slot] = ++profile->n_edges;
    return profile->n_edges - 1;
}

static void take(profile_t *profile, void *engine, uint32_t edge) {
    const edge_t *taken = &profile->edges[edge];
    profile->edges[edge].count++;
    profile->current = taken->to;
    profile->instructions += profile->blocks[taken->to].instructions;
    if (profile->instructions > profile->instruction_limit) {
        give_up(profile, engine, LIMIT_REACHED);
    }
}

static void take_unfamiliar(profile_t *profile, void *engine, uint32_t address, uint32_t size) {
    if (address - profile->code_address >= profile->code_size) {
        profile->current = 0; /* the address where the host waits for the return */
        return;
    }
    const uint32_t from = profile->current;
    const uint32_t depth = profile->depth;
    const uint32_t region = region_after(profile, engine, address);
    const uint32_t to = find_block(profile, address, size, region);
    const uint32_t edge = to == NOWHERE ? NOWHERE : find_edge(profile, from, to);
    if (edge == NOWHERE) {
        give_up(profile, engine, TABLE_FULL);
        return;
    }
    if (profile->blocks[from].region == region && profile->depth == depth) {
        block_t *source = &profile->blocks[from];
        source->key[1] = source->key[0];
        source->edge[1] = source->edge[0];
        source->key[0] = (uint64_t)address << 32 | size;
        source->edge[0] = edge;
    }
    take(profile, engine, edge);
}

void edgebci_on_block(void *engine, uint64_t address, uint32_t size, void *user_data) {
    profile_t *profile = user_data;
    const block_t *from = &profile->blocks[profile->current];
    const uint64_t key = address << 32 | size;
    /* A return address always takes the long way: whether it leaves the region depends on who called. */
    if (key == from->key[0] && (uint32_t)address != profile->return_address) {
        take(profile, engine, from->edge[0]);
    } else if (key == from->key[1] && (uint32_t)address != profile->return_address) {
        take(profile, engine, from->edge[1]);
    } else {
        take_unfamiliar(profile, engine, (uint32_t)address, size);
    }
}
