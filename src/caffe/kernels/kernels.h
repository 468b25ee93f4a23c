/* What the kernels share. Arrays are dense float32; `threads` is the number of OpenMP threads to use.
 * Functions that need memory return 0, or 1 if there is none. */
#ifndef CAFFE_KERNELS_H
#define CAFFE_KERNELS_H

#include <math.h>
#include <omp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    int64_t begin, end;
} Range;

/* The part of `count` items that belongs to the calling thread: one contiguous range per thread. */
INLINE Range own_range(int64_t count) {
    int64_t number = omp_get_thread_num(), threads = omp_get_num_threads();
    return (Range){count * number / threads, count * (number + 1) / threads};
}

/* a * b + c, rounded in the same way wherever it is written. */
INLINE float multiply_add(float a, float b, float c) {
#ifdef __FP_FAST_FMAF
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* max(0, value); NaN stays NaN. */
INLINE float rectify(float value) { return value <= 0 ? 0 : value; }

/* The gradient of `rectify` where its result is `value`. */
INLINE float mask(float gradient, float value) { return value <= 0 ? 0 : gradient; }

#endif
