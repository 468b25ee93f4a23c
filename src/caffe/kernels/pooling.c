/* MAX pooling: x is images x height x width x channels, y images x rows x columns x channels.
 *
 * The place of a maximum within its window is one byte, where PyTorch keeps 8 bytes. Backward fills rows of dx with
 * zeros just before it adds to them, so that they are in the cache. Results are those of PyTorch bit for bit. */
#include "kernels.h"

enum { WIDTH = 8 };

typedef float Floats __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef uint8_t Bytes __attribute__((vector_size(WIDTH), aligned(1), may_alias));

typedef struct {
    int64_t height, width, channels, rows, columns;
    int64_t kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
} Pooling;

typedef struct {
    int64_t top, bottom, left, right; /* inside of the image */
    int64_t y, x;                     /* of the window's first value, which can be outside */
} Window;

INLINE Window window(const Pooling *p, int64_t row, int64_t column) {
    int64_t y = row * p->stride_height - p->pad_height, x = column * p->stride_width - p->pad_width;
    int64_t bottom = y + p->kernel_height, right = x + p->kernel_width;
    return (Window){y > 0 ? y : 0, bottom < p->height ? bottom : p->height, x > 0 ? x : 0,
                    right < p->width ? right : p->width, y, x};
}

/* The place in the window of the first value of row `y` that is in the image. */
INLINE int32_t first_place(const Pooling *p, const Window *w, int64_t y) {
    return (int32_t)((y - w->y) * p->kernel_width + w->left - w->x);
}

/* The first maximum of a window, or the last NaN: of WIDTH channels from channel `i` on. */
INLINE void maxima(const Pooling *p, const Window *w, const float *image, int64_t i, float *y, uint8_t *places) {
    Ints place = (Ints){0} + first_place(p, w, w->top);
    Floats largest = (Floats){0} - INFINITY;
    for (int64_t row = w->top; row < w->bottom; row++) {
        const float *x = image + (row * p->width + w->left) * p->channels + i;
        Ints here = (Ints){0} + first_place(p, w, row);
        for (int64_t column = w->left; column < w->right; column++, x += p->channels, here += 1) {
            Floats value = *(const Floats *)x;
            Ints larger = (value > largest) | (value != value);
            largest = (Floats)(((Ints)value & larger) | ((Ints)largest & ~larger));
            place = (here & larger) | (place & ~larger);
        }
    }
    *(Floats *)(y + i) = largest;
    *(Bytes *)(places + i) = __builtin_convertvector(place, Bytes);
}

/* The same of one channel. */
INLINE void maximum(const Pooling *p, const Window *w, const float *image, int64_t i, float *y, uint8_t *places) {
    int32_t place = first_place(p, w, w->top);
    float largest = -INFINITY;
    for (int64_t row = w->top; row < w->bottom; row++) {
        for (int64_t column = w->left; column < w->right; column++) {
            float value = image[(row * p->width + column) * p->channels + i];
            if (!(value > largest) && value == value) continue;
            largest = value;
            place = first_place(p, w, row) + (int32_t)(column - w->left);
        }
    }
    y[i] = largest;
    places[i] = (uint8_t)place;
}

KERNEL int max_pooling_forward(const float *x, float *y, uint8_t *places, int64_t images, int64_t height, int64_t width,
                               int64_t channels, int64_t rows, int64_t columns, int64_t kernel_height,
                               int64_t kernel_width, int64_t stride_height, int64_t stride_width, int64_t pad_height,
                               int64_t pad_width, int threads) {
#pragma omp parallel num_threads(threads)
    {
        Pooling p = {height, width, channels, rows, columns, kernel_height, kernel_width, stride_height, stride_width,
                     pad_height, pad_width};
        Range range = own_range(images * rows);
        for (int64_t number = range.begin; number < range.end; number++) {
            const float *image = x + number / rows * height * width * channels;
            for (int64_t column = 0; column < columns; column++) {
                int64_t at = (number * columns + column) * channels, i = 0;
                Window w = window(&p, number % rows, column);
                for (; i + WIDTH <= channels; i += WIDTH) maxima(&p, &w, image, i, y + at, places + at);
                if (i < channels && channels >= WIDTH) /* the last vector overlaps the one before */
                    maxima(&p, &w, image, channels - WIDTH, y + at, places + at);
                else
                    for (; i < channels; i++) maximum(&p, &w, image, i, y + at, places + at);
            }
        }
    }
    return 0;
}

/* Add the gradient of a window, `dy` with its `places`, to the image's. */
INLINE void add_gradient(const Pooling *p, const Window *w, const float *dy, const uint8_t *places, float *image) {
    int64_t i = 0;
    for (; i + WIDTH <= p->channels; i += WIDTH) {
        Ints gradient = *(const Ints *)(dy + i), place = __builtin_convertvector(*(const Bytes *)(places + i), Ints);
        for (int64_t y = w->top; y < w->bottom; y++) {
            float *to = image + (y * p->width + w->left) * p->channels + i;
            Ints here = (Ints){0} + first_place(p, w, y);
            for (int64_t x = w->left; x < w->right; x++, to += p->channels, here += 1)
                *(Floats *)to += (Floats)(gradient & (place == here));
        }
    }
    for (; i < p->channels; i++) {
        int64_t y = w->y + places[i] / p->kernel_width, x = w->x + places[i] % p->kernel_width;
        image[(y * p->width + x) * p->channels + i] += dy[i];
    }
}

KERNEL int max_pooling_backward(const float *dy, const uint8_t *places, float *dx, int64_t images, int64_t height,
                                int64_t width, int64_t channels, int64_t rows, int64_t columns, int64_t kernel_height,
                                int64_t kernel_width, int64_t stride_height, int64_t stride_width, int64_t pad_height,
                                int64_t pad_width, int threads) {
#pragma omp parallel num_threads(threads)
    {
        Pooling p = {height, width, channels, rows, columns, kernel_height, kernel_width, stride_height, stride_width,
                     pad_height, pad_width};
        Range range = own_range(images);
        int64_t line = width * channels;
        for (int64_t number = range.begin; number < range.end; number++) {
            float *image = dx + number * height * line;
            int64_t filled = 0; /* rows with zeros */
            for (int64_t row = 0; row < rows; row++) {
                int64_t bottom = window(&p, row, 0).bottom, at = (number * rows + row) * columns * channels;
                if (bottom > filled) {
                    memset(image + filled * line, 0, (bottom - filled) * line * sizeof(float));
                    filled = bottom;
                }
                for (int64_t column = 0; column < columns; column++, at += channels) {
                    Window w = window(&p, row, column);
                    add_gradient(&p, &w, dy + at, places + at, image);
                }
            }
            memset(image + filled * line, 0, (height - filled) * line * sizeof(float));
        }
    }
    return 0;
}
