// The body of welford(x, gamma, beta, epsilon, width) → y: one threadgroup of 256 threads a row.  Mean and variance in a
// single pass (Welford, Technometrics 4(3), 1962), one chain a thread; the chains are joined in a tree (Chan, Golub and
// LeVeque, 1979).
threadgroup float counts[256];
threadgroup float means[256];
threadgroup float squares[256];
const uint own = thread_position_in_threadgroup.x;
const uint first = threadgroup_position_in_grid.x * width;
float count = 0.0f, mean = 0.0f, square = 0.0f;
for (uint i = own; i < width; i += 256) {
    count += 1.0f;
    const float distance = x[first + i] - mean;
    mean += distance / count;
    square += distance * (x[first + i] - mean);
}
counts[own] = count;
means[own] = mean;
squares[own] = square;
for (uint step = 128; step > 0; step /= 2) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (own < step) {
        const float other = counts[own + step], all = counts[own] + other;
        if (other > 0.0f) {
            const float distance = means[own + step] - means[own];
            squares[own] += squares[own + step] + distance * distance * counts[own] * other / all;
            means[own] += distance * other / all;
            counts[own] = all;
        }
    }
}
threadgroup_barrier(mem_flags::mem_threadgroup);
const float factor = 1.0f / metal::precise::sqrt(squares[0] / width + epsilon);
for (uint i = own; i < width; i += 256)
    y[first + i] = (x[first + i] - means[0]) * factor * gamma[i] + beta[i];
