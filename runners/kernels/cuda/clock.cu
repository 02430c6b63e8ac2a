// What measuring itself launches on the device.

// Keep the device busy for so many cycles of its own clock: what is enqueued meanwhile starts without a gap.
extern "C" __global__ void spin(long long cycles) {
    const long long start = clock64();
    while (clock64() - start < cycles) {
    }
}

// Leave ns of the device's wall clock and cycles of multiprocessor 0, as in nvbench's clock-rate kernel: two stamps
// give the clock rate between them.  Each multiprocessor counts cycles for itself, so only blocks on the first write.
extern "C" __global__ void stamp(unsigned long long* __restrict__ pair) {
    unsigned int multiprocessor;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(multiprocessor));
    if (multiprocessor != 0) return;
    unsigned long long wall_ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(wall_ns));
    pair[0] = wall_ns;
    pair[1] = clock64();
}
