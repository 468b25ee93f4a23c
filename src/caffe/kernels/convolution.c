/* The gradient of a convolution's weights: dw[o, r, s, c] = sum over the pixels p of dy of dy[p, o] * x[p + (r, s), c].
 *
 * x is images x height x width x channels, dy images x rows x columns x outputs. The values of x that a row of the
 * kernel reads, (s, c), are contiguous: they are vectors, and no copy of the windows (im2col) is needed. A thread takes
 * parts, a few rows of an image or a few images, which stay in the cache, and keeps OUTPUTS x VECTORS vectors of sums
 * over the part in registers. Every thread has one range of parts: results depend on the number of threads only. */
#include "kernels.h"

#ifdef __AVX512F__
enum { WIDTH = 16 };
#else
enum { WIDTH = 8 };
#endif
enum { OUTPUTS = 6, VECTORS = 2, TILE = OUTPUTS * VECTORS * WIDTH }; /* with x and dy, 15 of 16 registers */
enum { PIXELS = 256 };                                               /* of dy in a part, at least one row */
enum { LINE = 16 };                                                  /* floats of a cache line */

typedef float Vector __attribute__((vector_size(sizeof(float) * WIDTH), aligned(sizeof(float)), may_alias));

typedef struct {
    int64_t images, height, width, channels, rows, columns, outputs;
    int64_t kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
} Convolution;

typedef struct {
    int64_t images, rows, parts;    /* images and rows of dy in a part; parts of an image (1 with several images) */
    int64_t row, image;             /* floats of a row and of an image in a part of x */
    int64_t blocks, in_row, vectors, tiles; /* blocks of OUTPUTS; vectors of a kernel's row, of the kernel, in tiles */
    int64_t bias, part, packed, own;        /* where a thread has its parts of memory, and how many floats it has */
} Plan;

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

INLINE int64_t whole_lines(int64_t floats) { return divide_up(floats, LINE) * LINE; }

static Plan plan(const Convolution *c, int threads) {
    Plan p;
    p.rows = smaller(divide_up(PIXELS, c->columns), c->rows);
    p.parts = divide_up(c->rows, p.rows);
    p.images = p.parts > 1 ? 1 : smaller(divide_up(PIXELS, c->rows * c->columns), divide_up(c->images, threads));
    p.row = ((c->columns - 1) * c->stride_width + c->kernel_width) * c->channels;
    p.image = ((p.rows - 1) * c->stride_height + c->kernel_height) * p.row;
    p.blocks = divide_up(c->outputs, OUTPUTS);
    p.in_row = divide_up(c->kernel_width * c->channels, WIDTH);
    p.vectors = c->kernel_height * p.in_row;
    p.tiles = divide_up(p.vectors, VECTORS);
    p.bias = p.blocks * p.tiles * TILE;
    p.part = whole_lines(p.bias + 2 * c->outputs);
    p.packed = p.part + whole_lines(p.images * p.image + WIDTH); /* the last vector can exceed the last row */
    p.own = p.packed + whole_lines(p.images * p.rows * c->columns * p.blocks * OUTPUTS);
    return p;
}

/* Copy what the windows of `rows` rows from row `first` on read of an image, with zeros outside of the image. */
static void copy_windows(const Convolution *c, const Plan *p, const float *x, int64_t first, int64_t rows, float *to) {
    int64_t columns = p->row / c->channels, left = smaller(c->pad_width, columns);
    int64_t inside = smaller(c->width, columns - left);
    for (int64_t y = 0; y < (rows - 1) * c->stride_height + c->kernel_height; y++, to += p->row) {
        int64_t from = first * c->stride_height - c->pad_height + y;
        memset(to, 0, p->row * sizeof(float));
        if (from >= 0 && from < c->height)
            memcpy(to + left * c->channels, x + from * c->width * c->channels, inside * c->channels * sizeof(float));
    }
}

/* Copy dy to blocks x pixels x OUTPUTS. */
static void pack(const float *dy, int64_t pixels, int64_t outputs, float *packed) {
    for (int64_t begin = 0; begin < outputs; begin += OUTPUTS) {
        int64_t count = smaller(outputs - begin, OUTPUTS);
        for (int64_t pixel = 0; pixel < pixels; pixel++, packed += OUTPUTS) {
            const float *from = dy + pixel * outputs + begin;
            if (count == OUTPUTS) memcpy(packed, from, OUTPUTS * sizeof(float)); /* of constant size: two moves */
            else memcpy(packed, from, count * sizeof(float));
        }
    }
}

/* Add the sum of dy over the pixels to `bias`; `sum` is memory for as many numbers. */
static void add_bias(const float *dy, int64_t pixels, int64_t outputs, float *restrict sum, float *restrict bias) {
    memset(sum, 0, outputs * sizeof(float));
    for (int64_t pixel = 0; pixel < pixels; pixel++, dy += outputs) {
#pragma omp simd
        for (int64_t i = 0; i < outputs; i++) sum[i] += dy[i];
    }
#pragma omp simd
    for (int64_t i = 0; i < outputs; i++) bias[i] += sum[i];
}

/* Add the products of a block of dy and of `vectors` vectors, whose first values are at `x`, to their sums. */
INLINE void add_products(const Convolution *c, const Plan *p, const float *const *x, const float *dy, int64_t images,
                         int64_t rows, float *sums, int vectors) {
    int64_t down = p->row * c->stride_height, across = c->channels * c->stride_width;
    Vector own[OUTPUTS][VECTORS] = {0};
    for (int64_t image = 0; image < images; image++) {
        for (int64_t row = 0; row < rows; row++) {
            int64_t at = image * p->image + row * down;
            for (int64_t end = at + c->columns * across; at < end; at += across, dy += OUTPUTS) {
                Vector values[VECTORS];
                for (int j = 0; j < vectors; j++) values[j] = *(const Vector *)(x[j] + at);
                for (int i = 0; i < OUTPUTS; i++)
                    for (int j = 0; j < vectors; j++) own[i][j] += dy[i] * values[j];
            }
        }
    }
    for (int i = 0; i < OUTPUTS; i++)
        for (int j = 0; j < vectors; j++) *(Vector *)(sums + (i * VECTORS + j) * WIDTH) += own[i][j];
}

/* Add the products of a part to the sums, for all outputs and one tile of vectors. */
static void add_tile(const Convolution *c, const Plan *p, int64_t tile, float *own, int64_t images, int64_t rows) {
    const float *x[VECTORS], *dy = own + p->packed;
    int64_t first = tile * VECTORS, count = smaller(p->vectors - first, VECTORS);
    for (int64_t j = 0; j < count; j++)
        x[j] = own + p->part + (first + j) / p->in_row * p->row + (first + j) % p->in_row * WIDTH;
    for (int64_t block = 0; block < p->blocks; block++, dy += images * rows * c->columns * OUTPUTS) {
        float *sums = own + (block * p->tiles + tile) * TILE;
        if (count == VECTORS) add_products(c, p, x, dy, images, rows, sums, VECTORS);
        else add_products(c, p, x, dy, images, rows, sums, 1);
    }
}

/* Add the products of part `number` to the sums of a thread, whose memory is `own`. */
static void add_part(const Convolution *c, const Plan *p, const float *x, const float *dy, int64_t number, float *own) {
    int64_t image = number / p->parts * p->images, first = number % p->parts * p->rows;
    int64_t images = smaller(c->images - image, p->images), rows = smaller(c->rows - first, p->rows);
    for (int64_t i = 0; i < images; i++)
        copy_windows(c, p, x + (image + i) * c->height * c->width * c->channels, first, rows,
                     own + p->part + i * p->image);
    dy += (image * c->rows + first) * c->columns * c->outputs;
    pack(dy, images * rows * c->columns, c->outputs, own + p->packed);
    add_bias(dy, images * rows * c->columns, c->outputs, own + p->bias + c->outputs, own + p->bias);
    for (int64_t tile = 0; tile < p->tiles; tile++) add_tile(c, p, tile, own, images, rows);
}

/* The sum over all threads of what they have at `at`. */
INLINE float total(const float *memory, const Plan *p, int64_t at, int threads) {
    float sum = memory[at];
    for (int t = 1; t < threads; t++) sum += memory[t * p->own + at];
    return sum;
}

static void write_output(const Convolution *c, const Plan *p, const float *memory, int threads, int64_t output,
                         float *dw, float *db) {
    int64_t area = c->kernel_height * c->kernel_width, size = area * c->channels;
    int64_t block = output / OUTPUTS * p->tiles * TILE + output % OUTPUTS * VECTORS * WIDTH;
    db[output] = total(memory, p, p->bias + output, threads);
    for (int64_t position = 0; position < area; position++) {
        int64_t first = position / c->kernel_width * p->in_row * WIDTH + position % c->kernel_width * c->channels;
        for (int64_t i = first; i < first + c->channels; i++) {
            int64_t vector = i / WIDTH, at = block + vector / VECTORS * TILE + vector % VECTORS * WIDTH + i % WIDTH;
            dw[output * size + (i - first) * area + position] = total(memory, p, at, threads);
        }
    }
}

/* dw is outputs x channels x kernel height x kernel width, db the gradient of the bias. */
KERNEL int convolution_weights_gradient(const float *x, const float *dy, float *dw, float *db, int64_t images,
                                        int64_t height, int64_t width, int64_t channels, int64_t rows, int64_t columns,
                                        int64_t outputs, int64_t kernel_height, int64_t kernel_width,
                                        int64_t stride_height, int64_t stride_width, int64_t pad_height,
                                        int64_t pad_width, int threads) {
    Convolution c = {images, height, width, channels, rows, columns, outputs, kernel_height, kernel_width,
                     stride_height, stride_width, pad_height, pad_width};
    Plan p = plan(&c, threads);
    float *memory = aligned_alloc(LINE * sizeof(float), (size_t)(threads * p.own) * sizeof(float));
    if (!memory) return 1;
#pragma omp parallel num_threads(threads)
    {
        float *own = memory + omp_get_thread_num() * p.own;
        memset(own, 0, p.own * sizeof(float));
        Range range = own_range(divide_up(images, p.images) * p.parts);
        for (int64_t number = range.begin; number < range.end; number++) add_part(&c, &p, x, dy, number, own);
#pragma omp barrier
        range = own_range(outputs);
        for (int64_t output = range.begin; output < range.end; output++)
            write_output(&c, &p, memory, omp_get_num_threads(), output, dw, db);
    }
    free(memory);
    return 0;
}
