/* A plugin of QEMU that counts what a program executes; arguments: out=FILE, and for a Cortex-M the rest of them.
 *
 * Everywhere it counts instructions. With code=FILE (the bytes of the code, which lies at at=ADDRESS) it keeps the edges between blocks
 * too, by block_hook.c, whose regions are entered at entry=ADDRESS, and notes the counts of all edges whenever lap=ADDRESS is entered.
 *
 *     FILE: instructions (8 bytes); stopped, blocks, edges, laps (4 each); blocks and edges as block_hook.c has them;
 *           of each lap the edges that there were by then (4), and their counts (8 each)
 *
 * The declarations are those of version 1 of the interface (QEMU, docs/devel/tcg-plugins.rst), which comes without a header in Debian. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_hook.c"

#define CAPACITY (1u << 16)
#define MOST_ENTRIES 8u
#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct tb;
uint64_t qemu_plugin_tb_vaddr(const struct tb *block);
size_t qemu_plugin_tb_n_insns(const struct tb *block);
void *qemu_plugin_tb_get_insn(const struct tb *block, size_t i);
uint64_t qemu_plugin_insn_vaddr(const void *instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*translated)(plugin_id, struct tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct tb *block, void (*executed)(unsigned, void *), int flags, void *data);
void qemu_plugin_register_vcpu_tb_exec_inline(struct tb *block, int operation, void *at, uint64_t value);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*ended)(plugin_id, void *), void *data);
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int n, char **arguments);
EXPORT extern int qemu_plugin_version;
int qemu_plugin_version = 1;

static profile_t profile;
static uint64_t instructions;
static uint32_t entries[MOST_ENTRIES], lap, n_laps;
static FILE *out, *laps;

static int no_stop(void *engine)
{
    (void)engine;
    return 0;
}

/* The link register where a region is entered: a call is the last instruction of the block before. */
static int return_address(void *engine, int which, void *value)
{
    const block_t *caller = &profile.blocks[profile.current];
    const uint32_t link = caller->address + caller->size;
    (void)engine;
    (void)which;
    memcpy(value, &link, sizeof(link));
    return 0;
}

static void note_lap(void)
{
    fwrite(&profile.n_edges, sizeof(profile.n_edges), 1, laps);
    for (uint32_t i = 0; i < profile.n_edges; i++) {
        fwrite(&profile.edges[i].count, sizeof(profile.edges[i].count), 1, laps);
    }
    n_laps++;
}

static void executed(unsigned core, void *data)
{
    const uint64_t key = (uint64_t)(uintptr_t)data;
    (void)core;
    if (profile.stopped == RUNNING) {
        edgebci_on_block(&profile, key >> 32, (uint32_t)key, &profile);
    }
    if (lap == key >> 32) {
        note_lap();
    }
}

static void translated(plugin_id id, struct tb *block)
{
    const size_t n = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &instructions, n);
    if (!profile.code) {
        return;
    }
    /* Of an instruction that lies on two pages, QEMU 7.2 knows the size on the first alone. */
    const uint64_t start = qemu_plugin_tb_vaddr(block), last = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(block, n - 1));
    if (last - profile.code_address >= profile.code_size) {
        return;
    }
    const uint64_t end = last + (profile.code[last - profile.code_address + 1] >> 3 >= 0x1d ? 4 : 2);
    const uint64_t key = start << 32 | (end - start);
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0, (void *)(uintptr_t)key);
}

static void ended(plugin_id id, void *data)
{
    const uint32_t counts[4] = {profile.stopped, profile.n_blocks, profile.n_edges, n_laps};
    (void)id;
    (void)data;
    fwrite(&instructions, sizeof(instructions), 1, out);
    fwrite(counts, sizeof(counts), 1, out);
    if (profile.code) {
        fwrite(profile.blocks, sizeof(block_t), profile.n_blocks, out);
        fwrite(profile.edges, sizeof(edge_t), profile.n_edges, out);
        rewind(laps);
        for (int c = getc(laps); c != EOF; c = getc(laps)) {
            putc(c, out);
        }
    }
    fclose(out);
}

/* Whether the code could be read. */
static int prepare(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *code = calloc(1, 1u << 24);
    profile.blocks = calloc(CAPACITY, sizeof(block_t));
    profile.edges = calloc(CAPACITY, sizeof(edge_t));
    profile.block_slots = calloc(2 * CAPACITY, sizeof(uint32_t));
    profile.edge_slots = calloc(2 * CAPACITY, sizeof(uint32_t));
    laps = tmpfile();
    if (!file || !code || !profile.blocks || !profile.edges || !profile.block_slots || !profile.edge_slots || !laps) {
        return 0;
    }
    profile.code_size = (uint32_t)fread(code, 1, 1u << 24, file);
    profile.code = code;
    profile.stop = no_stop;
    profile.read_register = return_address;
    profile.region_entries = entries;
    profile.instruction_limit = UINT64_MAX;
    profile.capacity = CAPACITY;
    profile.n_blocks = 1; /* the first stands for what was before */
    profile.return_address = NOWHERE;
    return fclose(file) == 0;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int n, char **arguments)
{
    (void)info;
    for (int i = 0; i < n; i++) {
        const char *value = strchr(arguments[i], '=');
        const uint32_t number = value ? (uint32_t)strtoul(value + 1, NULL, 0) : 0;
        if (value && strncmp(arguments[i], "out=", 4) == 0) {
            out = fopen(value + 1, "wb");
        } else if (value && strncmp(arguments[i], "code=", 5) == 0 && !prepare(value + 1)) {
            return 1;
        } else if (strncmp(arguments[i], "at=", 3) == 0) {
            profile.code_address = number;
        } else if (strncmp(arguments[i], "lap=", 4) == 0) {
            lap = number;
        } else if (strncmp(arguments[i], "entry=", 6) == 0 && profile.n_region_entries < MOST_ENTRIES) {
            entries[profile.n_region_entries++] = number;
        }
    }
    if (!out) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
