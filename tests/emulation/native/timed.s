@ Sequences whose cycles a source states or implies: test_cortex_m4.py has the figures. They are decoded, never run.
.syntax unified
.thumb
.text

.macro sequence name
.global \name
.type \name, %function
.thumb_func
\name:
.endm
.macro done name
.size \name, . - \name
.endm

@ The four examples of the vendor's section on load and store timings.
sequence pair_of_loads
    ldr r0, [r1]
    ldr r1, [r2]
done pair_of_loads
sequence load_then_store
    ldr r0, [r1, r2]
    str r0, [r3, #20]
done load_then_store
sequence load_then_store_register_offset
    ldr r0, [r1, r2]
    str r1, [r3, r2]
done load_then_store_register_offset
sequence three_loads
    ldr r0, [r1, r5]
    ldr r1, [r2]
    ldr r2, [r3, #4]
done three_loads

sequence load_of_loaded_address
    ldr r0, [r1]
    ldr r2, [r0]
done load_of_loaded_address
sequence load_of_computed_address
    adds r1, #4
    ldr r0, [r1]
done load_of_computed_address
sequence load_of_address_computed_earlier
    adds r1, #4
    nop
    ldr r0, [r1]
done load_of_address_computed_earlier
sequence two_stores
    str r0, [r1]
    str r2, [r1, #4]
done two_stores
sequence load_after_store
    str r0, [r1]
    ldr r2, [r1, #4]
done load_after_store
sequence push_of_three
    push {r4, r5, lr}
done push_of_three
sequence load_multiple_of_three
    ldm r0!, {r1, r2, r3}
done load_multiple_of_three
sequence load_double_word
    ldrd r0, r1, [r2]
done load_double_word
sequence pop_of_doubles
    vpop {d8, d9}
done pop_of_doubles
sequence multiply_accumulate
    mla r0, r1, r2, r3
    smlad r0, r1, r2, r0
    smlal r0, r3, r1, r2
done multiply_accumulate
sequence folded_it
    cmp r0, #0
    it eq
    moveq r0, #1
done folded_it
sequence unfolded_it
    cmp.w r0, #0
    it eq
    moveq r0, #1
done unfolded_it
sequence integer_division
    sdiv r0, r1, r2
done integer_division
sequence independent_float
    vadd.f32 s0, s1, s2
    vmul.f32 s3, s4, s5
    vsub.f32 s6, s7, s8
done independent_float
sequence dependent_float
    vadd.f32 s0, s1, s2
    vmul.f32 s3, s0, s5
done dependent_float
sequence dependent_float_one_apart
    vadd.f32 s0, s1, s2
    nop
    vmul.f32 s3, s0, s5
done dependent_float_one_apart
sequence float_division
    vdiv.f32 s0, s1, s2
    vmul.f32 s3, s4, s5
done float_division
sequence float_division_under_integer_work
    vdiv.f32 s0, s1, s2
    .rept 20
    adds r0, #1
    .endr
    vmul.f32 s3, s0, s5
done float_division_under_integer_work
sequence float_multiply_accumulate
    vmla.f32 s0, s1, s2
    vmul.f32 s3, s4, s5
done float_multiply_accumulate
sequence pair_of_float_loads
    vldr s0, [r0]
    vldr s1, [r0, #4]
done pair_of_float_loads
sequence load_of_a_double
    vldr d0, [r0]
done load_of_a_double
sequence comparison
    vcmp.f32 s0, s1
    vmrs apsr_nzcv, fpscr
done comparison
sequence failed_division
    it eq
    vdiveq.f32 s0, s1, s2
    vmul.f32 s3, s4, s5
done failed_division
