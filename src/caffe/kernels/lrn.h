/* What both kinds of LRN share: y = x s^-beta with s = k + factor * sum of x^2 over a window around each value, and
 * dx = dy s^-beta - 2 factor beta * x * sum of (dy x s^-beta / s) over the same window. */
#ifndef CAFFE_LRN_H
#define CAFFE_LRN_H

#include "kernels.h"

typedef struct {
    float factor, beta, k;
} Lrn;

/* How many values on one side of a window of `size` can be among `count` values. */
INLINE int64_t half_window(int64_t size, int64_t count) { return size / 2 < count ? size / 2 : count - 1; }

/* total[i] = sum of values[i + j * step] for j = -half .. half; `values` has half * step zeros on either side. */
INLINE void sum_neighbors(const float *restrict values, float *restrict total, int64_t count, int64_t half,
                          int64_t step) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) total[i] = values[i];
    for (int64_t shift = step; shift <= half * step; shift += step) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++) total[i] += values[i - shift] + values[i + shift];
    }
}

INLINE void square(const float *restrict x, float *restrict squares, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) squares[i] = x[i] * x[i];
}

/* Replace the sums of squares by s, and write power = s^-beta.
 * The usual exponents use square roots, which are exact to the last bits and faster than powf. */
INLINE void scale(const Lrn *p, float *restrict s, float *restrict power, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) s[i] = s[i] * p->factor + p->k;
    if (p->beta == 0.75f) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            float root = 1 / sqrtf(s[i]);
            power[i] = root * sqrtf(root);
        }
    } else if (p->beta == 0.5f) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++) power[i] = 1 / sqrtf(s[i]);
    } else {
        for (int64_t i = 0; i < count; i++) power[i] = powf(s[i], -p->beta);
    }
}

INLINE void write_top(const float *restrict x, const float *restrict power, float *restrict y, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) y[i] = x[i] * power[i];
}

/* direct = dy s^-beta, ratio = dy x s^-beta / s; `direct` may be `power`. */
INLINE void divide_by_scale(const float *x, const float *dy, const float *s, const float *power, float *direct,
                            float *restrict ratio, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        direct[i] = power[i] * dy[i];
        ratio[i] = direct[i] * x[i] / s[i];
    }
}

/* dx from the sums of the ratios. */
INLINE void write_gradient(const Lrn *p, const float *restrict x, const float *restrict direct,
                           const float *restrict sums, float *restrict dx, int64_t count) {
    float factor = 2 * p->factor * p->beta;
#pragma omp simd
    for (int64_t i = 0; i < count; i++) dx[i] = direct[i] - sums[i] * factor * x[i];
}

#endif
