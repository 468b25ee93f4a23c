/* LRN across channels: x is rows x channels, y = x s^-beta with s = k + alpha / size * sum of x^2 over `size` channels.
 *
 * All steps for a row stay in the cache: forward reads x and writes y, backward reads x and dy and writes dx,
 * dx = dy s^-beta - 2 alpha beta / size * x * sum over `size` channels of (dy x s^-beta / s). */
#include "kernels.h"

/* total[i] = sum of values[i - half .. i + half]; `values` has `half` zeros on either side. */
static void sum_neighbors(const float *restrict values, float *restrict total, int64_t channels, int64_t half) {
#pragma omp simd
    for (int64_t i = 0; i < channels; i++) total[i] = values[i];
    for (int64_t shift = 1; shift <= half; shift++) {
#pragma omp simd
        for (int64_t i = 0; i < channels; i++) total[i] += values[i - shift] + values[i + shift];
    }
}

/* power[i] = s[i]^-beta. The usual exponents use square roots, which are exact to the last bits and faster than powf. */
static void negative_power(const float *restrict s, float *restrict power, int64_t channels, float beta) {
    if (beta == 0.75f) {
#pragma omp simd
        for (int64_t i = 0; i < channels; i++) {
            float root = 1 / sqrtf(s[i]);
            power[i] = root * sqrtf(root);
        }
    } else if (beta == 0.5f) {
#pragma omp simd
        for (int64_t i = 0; i < channels; i++) power[i] = 1 / sqrtf(s[i]);
    } else {
        for (int64_t i = 0; i < channels; i++) power[i] = powf(s[i], -beta);
    }
}

typedef struct {
    float *padded, *s, *power; /* one row each; `padded` has `half` zeros on either side */
} Scratch;

/* s and power of one row. */
static void scale_row(const float *x, int64_t channels, int64_t half, float factor, float beta, float k,
                      const Scratch *own) {
#pragma omp simd
    for (int64_t i = 0; i < channels; i++) own->padded[i] = x[i] * x[i];
    sum_neighbors(own->padded, own->s, channels, half);
#pragma omp simd
    for (int64_t i = 0; i < channels; i++) own->s[i] = own->s[i] * factor + k;
    negative_power(own->s, own->power, channels, beta);
}

/* The calling thread's part of `memory`. */
static Scratch own_scratch(float *memory, int64_t channels, int64_t half) {
    float *own = memory + omp_get_thread_num() * (3 * channels + 2 * half);
    return (Scratch){own + half, own + 2 * half + channels, own + 2 * half + 2 * channels};
}

KERNEL int lrn_forward(const float *x, float *y, int64_t rows, int64_t channels, int64_t size, float alpha, float beta,
                       float k, int threads) {
    int64_t half = size / 2;
    float *memory = calloc((size_t)(threads * (3 * channels + 2 * half)), sizeof(float));
    if (!memory) return 1;
#pragma omp parallel num_threads(threads)
    {
        Range range = own_range(rows);
        Scratch own = own_scratch(memory, channels, half);
        for (int64_t row = range.begin; row < range.end; row++) {
            const float *from = x + row * channels;
            float *to = y + row * channels;
            scale_row(from, channels, half, alpha / (float)size, beta, k, &own);
#pragma omp simd
            for (int64_t i = 0; i < channels; i++) to[i] = from[i] * own.power[i];
        }
    }
    free(memory);
    return 0;
}

KERNEL int lrn_backward(const float *x, const float *dy, float *dx, int64_t rows, int64_t channels, int64_t size,
                        float alpha, float beta, float k, int threads) {
    int64_t half = size / 2;
    float factor = 2 * alpha * beta / (float)size;
    float *memory = calloc((size_t)(threads * (3 * channels + 2 * half)), sizeof(float));
    if (!memory) return 1;
#pragma omp parallel num_threads(threads)
    {
        Range range = own_range(rows);
        Scratch own = own_scratch(memory, channels, half);
        for (int64_t row = range.begin; row < range.end; row++) {
            const float *value = x + row * channels, *grad = dy + row * channels;
            float *to = dx + row * channels;
            scale_row(value, channels, half, alpha / (float)size, beta, k, &own);
#pragma omp simd
            for (int64_t i = 0; i < channels; i++) {
                own.power[i] *= grad[i];
                own.padded[i] = own.power[i] * value[i] / own.s[i];
            }
            sum_neighbors(own.padded, own.s, channels, half);
#pragma omp simd
            for (int64_t i = 0; i < channels; i++) to[i] = own.power[i] - own.s[i] * factor * value[i];
        }
    }
    free(memory);
    return 0;
}
