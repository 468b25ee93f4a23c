/* BatchNorm, Scale and ReLU in one: x is rows x channels, y = rectify((x - mean) * inv_std * gain + bias).
 *
 * Forward reads x twice and writes y; backward reads x and dy twice and writes dx. The sums of a block of rows are
 * float32 around the mean so far, those of all blocks are float64 (Chan et al. 1983, Algorithms for Computing the Sample
 * Variance). Every thread has one range of rows, so that results depend on the number of threads only. */
#include "kernels.h"

enum { BLOCK_FLOATS = 1 << 15 };          /* of x: stays in the L2 cache */
enum { NO_RELU, RELU_OF_X, RELU_OF_Y };   /* the mask of the ReLU is computed from x, or read from y */

typedef struct {
    double *sum, *square;  /* of one thread: sum of x, sum of squares around the mean */
    double *mean;          /* of the rows so far */
    float *pivot, *first, *second;
} Moments;

static int64_t rows_of_block(int64_t channels) {
    int64_t rows = BLOCK_FLOATS / channels;
    return rows < 8 ? 8 : rows;
}

/* Blocks from the end of a range to its begin: what was read last is still in the cache. */
INLINE Range last_block(Range range, int64_t rows) {
    int64_t begin = range.end - rows;
    return (Range){begin < range.begin ? range.begin : begin, range.end};
}

INLINE Range block_before(Range range, Range block, int64_t rows) {
    return last_block((Range){range.begin, block.begin}, rows);
}

/* first = sum of x - pivot, second = sum of (x - pivot)^2 over `rows`. */
static void block_moments(const float *x, int64_t rows, int64_t channels, const Moments *m) {
    float *restrict first = m->first, *restrict second = m->second;
    const float *restrict pivot = m->pivot;
    memset(first, 0, channels * sizeof(float));
    memset(second, 0, channels * sizeof(float));
    for (int64_t row = 0; row < rows; row++) {
        const float *a = x + row * channels;
#pragma omp simd
        for (int64_t i = 0; i < channels; i++) {
            float p = a[i] - pivot[i];
            first[i] += p;
            second[i] += p * p;
        }
    }
}

/* Add a block of `rows` to the moments of `before` rows. */
static void add_block(int64_t rows, int64_t before, int64_t channels, const Moments *m) {
    double share = (double)rows / (double)(before + rows), weight = (double)before * share;
    for (int64_t i = 0; i < channels; i++) {
        double first = m->first[i], mean = m->pivot[i] + first / rows, delta = mean - m->mean[i];
        m->sum[i] += (double)m->pivot[i] * rows + first;
        m->square[i] += m->second[i] - first * first / rows + delta * delta * weight;
        m->mean[i] += delta * share;
        float next = (float)m->mean[i];
        m->pivot[i] = isfinite(next) ? next : 0;
    }
}

static void own_moments(const float *x, int64_t rows, int64_t channels, const Moments *m) {
    int64_t block = rows_of_block(channels);
    for (int64_t row = 0; row < rows; row += block) {
        int64_t count = rows - row < block ? rows - row : block;
        if (!row) { /* the mean of the first block is a good pivot for it */
            block_moments(x, count, channels, m);
            for (int64_t i = 0; i < channels; i++) {
                float mean = m->first[i] / (float)count;
                m->pivot[i] = isfinite(mean) ? mean : 0;
            }
        }
        block_moments(x + row * channels, count, channels, m);
        add_block(count, row, channels, m);
    }
}

/* Mean and unbiased variance of channel `i` from the moments of all threads; returns the biased variance. */
static double combine(const double *all, int64_t stride, int threads, int64_t rows, int64_t channels, int64_t i,
                      float *mean, float *variance) {
    double sum = 0, square = 0, before = 0, average = 0;
    for (int t = 0; t < threads; t++) {
        double count = (double)(rows * (t + 1) / threads - rows * t / threads);
        if (!count) continue;
        const double *part = all + t * stride + i;
        double delta = part[2 * channels] - average, share = count / (before + count);
        sum += part[0];
        square += part[channels] + delta * delta * before * share;
        average += delta * share;
        before += count;
    }
    mean[i] = (float)(sum / before);
    variance[i] = (float)(square / (before > 1 ? before - 1 : 1));
    return square / before;
}

INLINE float normalized(float x, float mean, float factor, float bias) {
    return multiply_add(x - mean, factor, bias);
}

/* factor = gain / std, shift = bias. */
static void affine(const float *gain, const float *bias, const float *inv_std, int64_t channels, float *factor,
                   float *shift) {
    for (int64_t i = 0; i < channels; i++) {
        factor[i] = gain[i] * inv_std[i];
        shift[i] = bias ? bias[i] : 0;
    }
}

static void normalize(const float *x, float *y, Range range, int64_t channels, const float *mean, const float *factor,
                      const float *shift, int relu) {
    for (int64_t row = range.begin; row < range.end; row++) {
        const float *from = x + row * channels;
        float *to = y + row * channels;
        if (relu) {
#pragma omp simd
            for (int64_t i = 0; i < channels; i++) to[i] = rectify(normalized(from[i], mean[i], factor[i], shift[i]));
        } else {
#pragma omp simd
            for (int64_t i = 0; i < channels; i++) to[i] = normalized(from[i], mean[i], factor[i], shift[i]);
        }
    }
}

/* Zeroed memory for `doubles` numbers and, behind them, for `floats` numbers; NULL if there is none. One `free` for both. */
static double *allocate(int64_t doubles, int64_t floats, float **behind) {
    double *memory = calloc(1, (size_t)doubles * sizeof(double) + (size_t)floats * sizeof(float));
    if (memory) *behind = (float *)(memory + doubles);
    return memory;
}

/* `given`: mean and variance are accumulated ones and not changed; otherwise those of the batch (variance unbiased). */
KERNEL int batch_norm_forward(const float *x, float *y, int64_t rows, int64_t channels, const float *gain,
                              const float *bias, float eps, int relu, int given, float *mean, float *variance,
                              float *inv_std, int threads) {
    int64_t stride = 3 * channels, block = rows_of_block(channels); /* stride: of the moments of one thread */
    float *scratch;
    double *all = allocate(threads * stride, threads * 3 * channels + 2 * channels, &scratch);
    if (!all) return 1;
    float *factor = scratch + threads * 3 * channels, *shift = factor + channels;
#pragma omp parallel num_threads(threads)
    {
        Range range = own_range(rows);
        double *own = all + omp_get_thread_num() * stride;
        float *floats = scratch + omp_get_thread_num() * 3 * channels;
        Moments m = {own, own + channels, own + 2 * channels, floats, floats + channels, floats + 2 * channels};
        if (!given) own_moments(x + range.begin * channels, range.end - range.begin, channels, &m);
#pragma omp barrier
#pragma omp single
        {
            for (int64_t i = 0; i < channels; i++) {
                double biased = given ? variance[i]
                                      : combine(all, stride, omp_get_num_threads(), rows, channels, i, mean, variance);
                inv_std[i] = (float)(1 / sqrt(biased + eps));
            }
            affine(gain, bias, inv_std, channels, factor, shift);
        }
        for (Range part = last_block(range, block); part.end > part.begin; part = block_before(range, part, block))
            normalize(x, y, part, channels, mean, factor, shift, relu);
    }
    free(all);
    return 0;
}

typedef struct {
    const float *x, *dy, *y, *mean, *factor, *shift;
    int64_t channels;
} Backward;

INLINE float gradient(const Backward *b, int64_t at, int64_t i, int mode) {
    float dy = b->dy[at];
    if (mode == RELU_OF_Y) return mask(dy, b->y[at]);
    if (mode == RELU_OF_X) return mask(dy, normalized(b->x[at], b->mean[i], b->factor[i], b->shift[i]));
    return dy;
}

INLINE void sum_rows(const Backward *b, Range range, float *restrict first, float *restrict second, int mode) {
    int64_t n = b->channels;
    for (int64_t row = range.begin; row < range.end; row++) {
        int64_t at = row * n;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            float g = gradient(b, at + i, i, mode);
            first[i] += g;
            second[i] += g * (b->x[at + i] - b->mean[i]);
        }
    }
}

/* sums[i] += the gradients, sums[n + i] += the gradients times x - mean. */
static void own_sums(const Backward *b, Range range, double *sums, float *floats, int mode) {
    int64_t n = b->channels, block = rows_of_block(2 * n);
    for (int64_t row = range.begin; row < range.end; row += block) {
        Range part = {row, row + block < range.end ? row + block : range.end};
        memset(floats, 0, 2 * n * sizeof(float));
        if (mode == RELU_OF_Y) sum_rows(b, part, floats, floats + n, RELU_OF_Y);
        else if (mode == RELU_OF_X) sum_rows(b, part, floats, floats + n, RELU_OF_X);
        else sum_rows(b, part, floats, floats + n, NO_RELU);
        for (int64_t i = 0; i < 2 * n; i++) sums[i] += floats[i];
    }
}

INLINE void write_rows(const Backward *b, Range range, float *dx, const float *slope, const float *offset, int mode,
                       int given) {
    int64_t n = b->channels;
    for (int64_t row = range.begin; row < range.end; row++) {
        int64_t at = row * n;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            float g = gradient(b, at + i, i, mode);
            if (given) dx[at + i] = g * b->factor[i];
            else dx[at + i] = multiply_add(g, b->factor[i], slope[i] * (b->x[at + i] - b->mean[i]) + offset[i]);
        }
    }
}

static void write_block(const Backward *b, Range range, float *dx, const float *slope, const float *offset, int mode,
                        int given) {
    if (given && mode == RELU_OF_Y) write_rows(b, range, dx, slope, offset, RELU_OF_Y, 1);
    else if (given && mode == RELU_OF_X) write_rows(b, range, dx, slope, offset, RELU_OF_X, 1);
    else if (given) write_rows(b, range, dx, slope, offset, NO_RELU, 1);
    else if (mode == RELU_OF_Y) write_rows(b, range, dx, slope, offset, RELU_OF_Y, 0);
    else if (mode == RELU_OF_X) write_rows(b, range, dx, slope, offset, RELU_OF_X, 0);
    else write_rows(b, range, dx, slope, offset, NO_RELU, 0);
}

/* dx (it may be dy), dgain and dbias; each may be NULL. y: the ReLU's result, or NULL to compute its mask from x. */
KERNEL int batch_norm_backward(const float *x, const float *dy, const float *y, float *dx, int64_t rows,
                               int64_t channels, const float *gain, const float *bias, const float *mean,
                               const float *inv_std, int relu, int given, float *dgain, float *dbias, int threads) {
    int64_t block = rows_of_block(2 * channels);
    float *scratch;
    double *sums = allocate(threads * 2 * channels, threads * 2 * channels + 4 * channels, &scratch);
    if (!sums) return 1;
    float *factor = scratch + threads * 2 * channels, *shift = factor + channels;
    float *slope = shift + channels, *offset = slope + channels;
    affine(gain, bias, inv_std, channels, factor, shift);
    Backward b = {x, dy, y, mean, factor, shift, channels};
    int mode = !relu ? NO_RELU : y ? RELU_OF_Y : RELU_OF_X;
#pragma omp parallel num_threads(threads)
    {
        Range range = own_range(rows);
        int number = omp_get_thread_num();
        own_sums(&b, range, sums + number * 2 * channels, scratch + number * 2 * channels, mode);
#pragma omp barrier
#pragma omp single
        for (int64_t i = 0; i < channels; i++) {
            double first = 0, second = 0;
            for (int t = 0; t < omp_get_num_threads(); t++) {
                first += sums[t * 2 * channels + i];
                second += sums[t * 2 * channels + channels + i];
            }
            if (dbias) dbias[i] = (float)first;
            if (dgain) dgain[i] = (float)(second * inv_std[i]);
            /* dx = factor * (g - mean of g - (x - mean) / variance * mean of g (x - mean)) */
            slope[i] = (float)(-second / (double)rows * inv_std[i] * inv_std[i] * factor[i]);
            offset[i] = (float)(-first / (double)rows * factor[i]);
        }
        for (Range part = last_block(range, block); dx && part.end > part.begin; part = block_before(range, part, block))
            write_block(&b, part, dx, slope, offset, mode, given);
    }
    free(sums);
    return 0;
}
