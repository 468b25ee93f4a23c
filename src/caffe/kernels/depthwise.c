/* Depthwise 3 x 3 convolution with padding 1: every channel has its own kernel.
 *
 * x is images x height x width x channels, weights are 9 x channels; the stride is the same along both axes. Channels are
 * a multiple of BLOCK. Every thread has one range of rows; the sums of the weights' gradient are float32 over a few rows
 * and float64 beyond. */
#include "kernels.h"

enum { LANES = 8, BLOCK = 2 * LANES, ROWS = 64 }; /* ROWS: that are summed in float32 */
typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    int64_t height, width, channels, stride, out_height, out_width;
} Shape;

/* to[i] = sum of taps[i] * weights[i] over 3 x 3 taps; `order` is 1, or -1 for the weights from last to first. */
INLINE void add_taps(float *restrict to, const float *restrict tap, int64_t row, int64_t n, const float *restrict weights,
                     const float *restrict bias, int order) {
    const float *restrict a = tap, *restrict b = tap + row, *restrict c = tap + 2 * row;
    const float *restrict first = order > 0 ? weights : weights + 8 * n;
    int64_t step = order * n;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const float *w = first + i;
        float sum = bias ? bias[i] : 0;
        sum += a[i] * w[0] + a[i + n] * w[step] + a[i + 2 * n] * w[2 * step];
        sum += b[i] * w[3 * step] + b[i + n] * w[4 * step] + b[i + 2 * n] * w[5 * step];
        sum += c[i] * w[6 * step] + c[i + n] * w[7 * step] + c[i + 2 * n] * w[8 * step];
        to[i] = sum;
    }
}

INLINE void add_product(float *restrict to, const float *restrict a, const float *restrict b, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) to[i] += a[i] * b[i];
}

static void forward_row(const float *image, const float *weights, const float *bias, float *to, const Shape *s,
                        int64_t row) {
    int64_t n = s->channels, top = row * s->stride - 1;
    for (int64_t column = 0; column < s->out_width; column++, to += n) {
        int64_t left = column * s->stride - 1;
        if (top >= 0 && left >= 0 && top + 3 <= s->height && left + 3 <= s->width) {
            add_taps(to, image + (top * s->width + left) * n, s->width * n, n, weights, bias, 1);
            continue;
        }
        memcpy(to, bias, n * sizeof(float));
        for (int64_t k = 0; k < 9; k++) {
            int64_t y = top + k / 3, x = left + k % 3;
            if (y >= 0 && x >= 0 && y < s->height && x < s->width)
                add_product(to, image + (y * s->width + x) * n, weights + k * n, n);
        }
    }
}

KERNEL int depthwise_forward(const float *x, const float *weights, const float *bias, float *y, int64_t images,
                             int64_t height, int64_t width, int64_t channels, int64_t stride, int64_t out_height,
                             int64_t out_width, int threads) {
    Shape s = {height, width, channels, stride, out_height, out_width};
#pragma omp parallel num_threads(threads)
    {
        Range range = own_range(images * out_height);
        for (int64_t row = range.begin; row < range.end; row++)
            forward_row(x + row / out_height * height * width * channels, weights, bias,
                        y + row * out_width * channels, &s, row % out_height);
    }
    return 0;
}

/* A row of the gradient of the bottom, from those of the top that read it. */
static void bottom_row(const float *image, const float *weights, float *to, const Shape *s, int64_t row) {
    int64_t n = s->channels;
    for (int64_t column = 0; column < s->width; column++, to += n) {
        if (s->stride == 1 && row && column && row + 1 < s->out_height && column + 1 < s->out_width) {
            add_taps(to, image + ((row - 1) * s->out_width + column - 1) * n, s->out_width * n, n, weights, NULL, -1);
            continue;
        }
        memset(to, 0, n * sizeof(float));
        for (int64_t k = 0; k < 9; k++) {
            int64_t y = row + 1 - k / 3, x = column + 1 - k % 3;
            if (y < 0 || x < 0 || y % s->stride || x % s->stride) continue;
            y /= s->stride;
            x /= s->stride;
            if (y < s->out_height && x < s->out_width)
                add_product(to, image + (y * s->out_width + x) * n, weights + k * n, n);
        }
    }
}

KERNEL int depthwise_bottom(const float *dy, const float *weights, float *dx, int64_t images, int64_t height,
                            int64_t width, int64_t channels, int64_t stride, int64_t out_height, int64_t out_width,
                            int threads) {
    Shape s = {height, width, channels, stride, out_height, out_width};
#pragma omp parallel num_threads(threads)
    {
        Range range = own_range(images * height);
        for (int64_t row = range.begin; row < range.end; row++)
            bottom_row(dy + row / height * out_height * out_width * channels, weights, dx + row * width * channels, &s,
                       row % height);
    }
    return 0;
}

/* sums (3 x channels) += dy * x for BLOCK channels, a row of x and a row of dy. */
INLINE void add_row(const float *x, const float *dy, float *sums, const Shape *s) {
    Vector sum[3][2] = {{{0}}};
    int64_t n = s->channels;
    for (int64_t column = 0; column < s->out_width; column++) {
        const float *middle = x + column * s->stride * n;
        const Vector *g = (const Vector *)(dy + column * n);
        for (int k = 0; k < 3; k++) {
            int64_t at = column * s->stride + k - 1;
            if (at < 0 || at >= s->width) continue;
            const Vector *value = (const Vector *)(middle + (k - 1) * n);
            sum[k][0] += g[0] * value[0];
            sum[k][1] += g[1] * value[1];
        }
    }
    for (int k = 0; k < 3; k++) {
        Vector *to = (Vector *)(sums + k * n);
        to[0] += sum[k][0];
        to[1] += sum[k][1];
    }
}

static void weights_row(const float *image, const float *dy, float *sums, const Shape *s, int64_t row) {
    int64_t n = s->channels;
    for (int64_t block = 0; block < n; block += BLOCK) {
        for (int64_t k = 0; k < 3; k++) {
            int64_t y = row * s->stride - 1 + k;
            if (y >= 0 && y < s->height) add_row(image + y * s->width * n + block, dy + block, sums + 3 * k * n + block, s);
        }
    }
}

KERNEL int depthwise_weights(const float *x, const float *dy, float *dw, int64_t images, int64_t height, int64_t width,
                             int64_t channels, int64_t stride, int64_t out_height, int64_t out_width, int threads) {
    Shape s = {height, width, channels, stride, out_height, out_width};
    int64_t count = 9 * channels;
    double *totals = calloc((size_t)(threads * count), sizeof(double) + sizeof(float));
    if (!totals) return 1;
    float *floats = (float *)(totals + threads * count);
#pragma omp parallel num_threads(threads)
    {
        Range range = own_range(images * out_height);
        double *total = totals + omp_get_thread_num() * count;
        float *sums = floats + omp_get_thread_num() * count;
        for (int64_t row = range.begin; row < range.end; row++) {
            weights_row(x + row / out_height * height * width * channels, dy + row * out_width * channels, sums, &s,
                        row % out_height);
            if (row + 1 < range.end && (row + 1 - range.begin) % ROWS) continue;
            for (int64_t i = 0; i < count; i++) total[i] += sums[i];
            memset(sums, 0, count * sizeof(float));
        }
    }
    for (int64_t i = 0; i < count; i++) {
        double sum = 0;
        for (int t = 0; t < threads; t++) sum += totals[t * count + i];
        dw[i] = (float)sum;
    }
    free(totals);
    return 0;
}
