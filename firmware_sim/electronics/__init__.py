"""The analogue front end applied to a signal, chunk by chunk: what an implant would have made of a recording.

conditions     what the front end and its surroundings are, as data with units
events         what happens at a time: motion, chewing, stimulation, a failing reference
channel_state  what each channel drew: impedance, offset, gain, whether it still lives
flicker        the filter that makes white noise rise towards low frequencies
noise          of electrodes and amplifiers, with the density that was asked for
converter      anti-alias filter, sampler with jitter, quantizer that counts what it clips
front_end      all of it in the order in which a signal meets it
interference   mains, crosstalk, and an amplifier that saturates
source         whether a recording is good enough to show a condition
"""
