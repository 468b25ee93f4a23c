/* LRN across channels: x is rows x channels, and the window of a value has `size` channels of its row.
 *
 * All steps for a row stay in the cache: forward reads x and writes y, backward reads x and dy and writes dx. */
#include "lrn.h"

/* `dy` is NULL in forward: y is written to `out`; otherwise dx. */
KERNEL int lrn_across_channels(const float *x, const float *dy, float *out, int64_t rows, int64_t channels,
                               int64_t size, float alpha, float beta, float k, int threads) {
    Lrn p = {alpha / (float)size, beta, k};
    int64_t half = half_window(size, channels), own = 3 * channels + 2 * half; /* own: floats of a thread */
    float *memory = calloc((size_t)(threads * own), sizeof(float));
    if (!memory) return 1;
#pragma omp parallel num_threads(threads)
    {
        Range range = own_range(rows);
        float *padded = memory + omp_get_thread_num() * own + half, *s = padded + channels + half, *power = s + channels;
        for (int64_t at = range.begin * channels; at < range.end * channels; at += channels) {
            square(x + at, padded, channels);
            sum_neighbors(padded, s, channels, half, 1);
            scale(&p, s, power, channels);
            if (!dy) {
                write_top(x + at, power, out + at, channels);
                continue;
            }
            divide_by_scale(x + at, dy + at, s, power, power, padded, channels);
            sum_neighbors(padded, s, channels, half, 1);
            write_gradient(&p, x + at, power, s, out + at, channels);
        }
    }
    free(memory);
    return 0;
}
