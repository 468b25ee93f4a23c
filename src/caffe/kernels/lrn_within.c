/* LRN within channels: x is images x height x width x channels, and the window of a value has size x size pixels of its
 * channel, with zeros outside of the image.
 *
 * The sum over a window is the sum over `size` rows of sums within rows. A thread walks down the rows of an image and
 * keeps the sums within the last rows (a Ring), so that x is read once; backward follows `half` rows behind. */
#include "lrn.h"

typedef struct {
    const Lrn *p;
    const float *x, *dy; /* of one image */
    float *out;
    int64_t height, row, step; /* row: floats of a row, step: from a pixel to the next one */
    int64_t half_height, half_width;
    float *padded, *s, *power, *direct; /* scratch memory; direct: a Ring without sums */
} Image;

/* The last 2 * half_height + 1 rows: row y is at y modulo this number; `next` is the first row that is not there yet. */
typedef struct {
    float *rows;
    int64_t next;
} Ring;

INLINE int64_t slots(const Image *image) { return 2 * image->half_height + 1; }

INLINE float *slot(const Image *image, float *rows, int64_t y) { return rows + y % slots(image) * image->row; }

INLINE int64_t first_row(const Image *image, int64_t y) { return y > image->half_height ? y - image->half_height : 0; }

/* The end of the rows of the window around row `y`. */
INLINE int64_t end_row(const Image *image, int64_t y) {
    int64_t end = y + image->half_height + 1;
    return end < image->height ? end : image->height;
}

/* Append the sums within a row of `padded`. */
static void push(const Image *image, Ring *ring) {
    sum_neighbors(image->padded, slot(image, ring->rows, ring->next), image->row, image->half_width, image->step);
    ring->next++;
}

/* s = sum of the rows around row `y`. */
static void sum_around(const Image *image, const Ring *ring, int64_t y) {
    int64_t first = first_row(image, y), end = end_row(image, y);
    float *restrict s = image->s;
    memcpy(s, slot(image, ring->rows, first), image->row * sizeof(float));
    for (int64_t other = first + 1; other < end; other++) {
        const float *restrict values = slot(image, ring->rows, other);
#pragma omp simd
        for (int64_t i = 0; i < image->row; i++) s[i] += values[i];
    }
}

/* s and power of row `y`. */
static void scale_row(const Image *image, Ring *squares, int64_t y) {
    while (squares->next < end_row(image, y)) {
        square(image->x + squares->next * image->row, image->padded, image->row);
        push(image, squares);
    }
    sum_around(image, squares, y);
    scale(image->p, image->s, image->power, image->row);
}

static void forward(const Image *image, Range range, float *rows) {
    Ring squares = {rows, first_row(image, range.begin)};
    for (int64_t y = range.begin; y < range.end; y++) {
        scale_row(image, &squares, y);
        write_top(image->x + y * image->row, image->power, image->out + y * image->row, image->row);
    }
}

static void backward(const Image *image, Range range, float *rows) {
    Ring ratios = {rows + slots(image) * image->row, first_row(image, range.begin)};
    Ring squares = {rows, first_row(image, ratios.next)};
    for (int64_t y = range.begin; y < range.end; y++) {
        for (int64_t other = ratios.next; other < end_row(image, y); other++) {
            scale_row(image, &squares, other);
            divide_by_scale(image->x + other * image->row, image->dy + other * image->row, image->s, image->power,
                            slot(image, image->direct, other), image->padded, image->row);
            push(image, &ratios);
        }
        sum_around(image, &ratios, y);
        write_gradient(image->p, image->x + y * image->row, slot(image, image->direct, y), image->s,
                       image->out + y * image->row, image->row);
    }
}

/* `dy` is NULL in forward: y is written to `out`; otherwise dx. */
KERNEL int lrn_within_channel(const float *x, const float *dy, float *out, int64_t images, int64_t height,
                              int64_t width, int64_t channels, int64_t size, float alpha, float beta, float k,
                              int threads) {
    Lrn p = {alpha / ((float)size * (float)size), beta, k};
    Image shared = {&p, NULL, NULL, NULL, height, width * channels, channels,
                    half_window(size, height), half_window(size, width), NULL, NULL, NULL, NULL};
    int64_t border = shared.half_width * channels, ring = slots(&shared) * shared.row;
    int64_t own = 2 * border + 3 * shared.row + (dy ? 3 : 1) * ring; /* floats of a thread */
    float *memory = calloc((size_t)(threads * own), sizeof(float));
    if (!memory) return 1;
#pragma omp parallel num_threads(threads)
    {
        Image image = shared;
        image.padded = memory + omp_get_thread_num() * own + border;
        image.s = image.padded + image.row + border;
        image.power = image.s + image.row;
        float *rows = image.power + image.row;
        image.direct = rows + 2 * ring;
        Range range = own_range(images * height);
        for (int64_t begin = range.begin, end; begin < range.end; begin = end) {
            int64_t number = begin / height, at = number * height * image.row;
            end = (number + 1) * height < range.end ? (number + 1) * height : range.end;
            image.x = x + at;
            image.out = out + at;
            Range part = {begin - number * height, end - number * height};
            if (dy) {
                image.dy = dy + at;
                backward(&image, part, rows);
            } else {
                forward(&image, part, rows);
            }
        }
    }
    free(memory);
    return 0;
}
