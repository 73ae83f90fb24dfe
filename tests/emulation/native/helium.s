@ One instruction each of those that the disassembler does not know, by the pipe that they go to.
    .syntax unified
    .thumb
    .text
    .global helium_load
    .type helium_load, %function
helium_load:
    vldrb.u8 q0, [r1]
    vldrb.s16 q1, [r2], #8
    vldrw.u32 q2, [r3, #-16]!
    vld20.32 {q0, q1}, [r4]
    vldrh.s32 q5, [r6]
    .global helium_gather
    .type helium_gather, %function
helium_gather:
    vldrw.u32 q0, [r0, q1, uxtw #2]
    .global helium_store
    .type helium_store, %function
helium_store:
    vstrh.16 q2, [r1], #16
    vstrw.32 q2, [r5]
    .global helium_integer
    .type helium_integer, %function
helium_integer:
    vmovlb.s8 q1, q2
    vmovnb.i32 q1, q2
    vadd.i32 q0, q1, q2
    vadd.i32 q0, q1, r2
    vmax.s32 q0, q1, q2
    vshr.s32 q0, q1, #3
    vabs.s32 q0, q1
    vpsel q0, q1, q2
    vdup.32 q3, r4
    vmov q1, q2
    vmov q0[2], q0[0], r1, r2
    vrev32.16 q0, q1
    .global helium_multiply
    .type helium_multiply, %function
helium_multiply:
    vmladava.s16 r2, q0, q1
    vmlaldava.s16 r2, r3, q0, q1
    vaddv.s32 r0, q2
    vmul.f32 q0, q1, q2
    vmul.i32 q0, q1, r3
    vadd.f32 q0, q1, q2
    vmaxnm.f32 q0, q0, q2
    vmov.i32 q0, #0
    vcvt.f32.s32 q0, q1
    vabs.f32 q0, q1
    vcmp.f32 gt, q0, q1
    vqdmulh.s16 q0, q1, q2
    .global helium_control
    .type helium_control, %function
helium_control:
    vctp.16 r3
    .global others
    .type others, %function
others:
    dls lr, r2
    wls lr, r2, 1f
2:  le lr, 2b
1:  csel r0, r1, r2, eq
    lsrl r2, r3, #5
    vmrs r5, p0
@ The two examples of llvm-project's ARMScheduleM55.td, each with a store behind it that waits for the load pipe.
    .global overlapping
    .type overlapping, %function
overlapping:
    vldrw.u32 q0, [r0]
    vadd.i32 q1, q2, q3
    vmul.i32 q4, q5, q6
    vstrw.32 q7, [r1]
    vstrw.32 q7, [r1, #16]
    .global waiting
    .type waiting, %function
waiting:
    vldrw.u32 q0, [r0]
    vldrb.u8 q1, [r0, #16]
    vadd.i32 q2, q3, q4
    vstrw.32 q7, [r1]
    vstrw.32 q7, [r1, #16]
@ Offsets are needed before other operands, and what was gathered comes later than a load.
    .global gathering
    .type gathering, %function
gathering:
    vadd.i32 q1, q2, q3
    vldrw.u32 q0, [r0, q1, uxtw #2]
    vadd.i32 q4, q0, q0
    .global looping
    .type looping, %function
looping:
    dls lr, r2
3:  vldrw.u32 q0, [r0]
    le lr, 3b
    .global entry
    .type entry, %function
entry:
    bx lr
