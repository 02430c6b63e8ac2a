// The body of gelu(x, n) → y, one element a thread; MLX writes the signature.
const uint element = thread_position_in_grid.x;
if (element < n) {
    const float value = x[element];
    y[element] = 0.5f * value * (1.0f + metal::precise::tanh(0.797884560802865356f * (value + 0.044715f * value * value * value)));
}
