@ Functions whose number of executed instructions is known by reading them: test_exact_counts.py has the counts.
.syntax unified
.thumb
.text

.macro function name
.balign 4
.global \name
.type \name, %function
.thumb_func
\name:
.endm

function straight           @ 4
    movs r0, #1
    adds r0, #2
    add.w r0, r0, #4        @ a 32-bit encoding
    bx lr

function loop               @ 1 + 3 n + 1: r0 = n > 0
    movs r1, #0
1:  adds r1, #3
    subs r0, #1
    bne 1b
    mov r0, r1              @ and this one
    bx lr

function conditional        @ 6 for either condition: what is skipped still takes its place
    cmp r0, #0
    itte eq
    moveq r0, #10
    addeq r0, #1
    movne r0, #20
    bx lr

function early_return       @ 3 if r0 = 0 (cmp, it, bxeq), else 5
    cmp r0, #0
    it eq
    bxeq lr
    movs r0, #7
    bx lr

function floating           @ 9
    vmov s0, r0
    vcvt.f32.u32 s0, s0
    vmov.f32 s1, #2.0
    vmul.f32 s0, s0, s1
    vdiv.f32 s0, s0, s1
    vsqrt.f32 s0, s0
    vcvt.u32.f32 s0, s0
    vmov r0, s0
    bx lr

function dividing           @ 3
    movs r1, #7
    udiv r0, r0, r1
    bx lr

function calling            @ 1 + 2 x (1 + 4) + 1, the 4 are those of `straight`
    push {r4, lr}
    bl straight
    bl straight
    pop {r4, pc}

function compare_and_branch @ 2 if r0 = 0, else 3
    cbz r0, 1f
    movs r0, #5
1:  bx lr

function table              @ r0 = 0: tbb, movs, b, bx = 4; r0 = 1: tbb, movs, bx = 3
    tbb [pc, r0]
0:  .byte (1f - 0b) / 2, (2f - 0b) / 2
1:  movs r0, #11
    b 3f
2:  movs r0, #22
3:  bx lr

function long               @ 1200 + 1: longer than the emulator's longest block
    .rept 1200
    adds r0, #1
    .endr
    bx lr

function across_a_page      @ 5: the page border lies inside the IT block
    b.w 1f
    .balign 4096
    .space 4092
1:  cmp r0, #0
    ite eq
    moveq r0, #1            @ the first instruction of the page
    movne r0, #2
    bx lr

function recursive          @ leaf (r0 = 0): 2; else 4 more and one more call: 2 + 5 n
    cbz r0, 1f
    subs r0, #1
    push {r4, lr}
    bl recursive
    pop {r4, pc}
1:  bx lr

@ For regions: outer calls first, shared, second; first and second call shared too.
function shared             @ 3
    adds r0, #1
    nop
    bx lr

function first              @ 3 + 3 of shared
    push {r4, lr}
    bl shared
    pop {r4, pc}

function second             @ 4 + 6 of shared
    push {r4, lr}
    bl shared
    bl shared
    pop {r4, pc}

function outer              @ 1 + (1 + 6) + (1 + 3) + (1 + 10) + 1 = 24
    push {r4, lr}
    bl first
    bl shared
    bl second
    pop {r4, pc}

@ For caches: r0 = where, r1 = how many words to load from there on.
function read_words         @ 3 n + 1
1:  ldr r2, [r0], #4
    subs r1, #1
    bne 1b
    bx lr
