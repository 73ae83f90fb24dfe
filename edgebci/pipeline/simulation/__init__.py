"""`edgebci simulate`: a recording, the decoder that ships and the conditions that it will meet.

order         what to simulate
front_end     the front end that a profile and a file of conditions describe
playing       a recording played through front ends and host twins, in bounded memory
forms         the decoder with another reference or policy, compiled
truth         what should have been decoded, and how well it was
recovery      how long each disturbance is felt
wiring        which front ends hear it, and which decoders listen to each
losses        lost packets, under each policy
setting       what is known before the first sample is played
accuracy      the parts of the report about R2
sweeping      playing the points of a sweep
pictures      the folder of a simulation
sweeps        R2 against bits, full scale, noise and channels, and where it bends
device_side   power, heat and latency of the same design, from budget and timeline
closed_loop   a simulated user who sees the cursor late
broadband     R2 against the sampling rate, and LFP against spiking-band power against spikes
report        what came of it
run           all of it in order
"""
