/* A posix_memalign for LD_PRELOAD that notices writes outside the tensors: PyTorch's CPU tensors come from it.

Each block ends at a page without access, and the bytes around it hold a pattern that free checks. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define PATTERN ((char)0xab)

static const size_t arena_size = (size_t)1 << 43; /* addresses only; memory is taken when it is used */
static char *arena;
static _Atomic size_t used;
static void (*next_free)(void *);
static size_t (*next_usable_size)(void *);

struct header { /* in the page before the block's pages */
    size_t size, bytes;
};

__attribute__((constructor)) static void init(void) {
    if (arena) return;
    arena = mmap(0, arena_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    next_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    next_usable_size = (size_t(*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");
}

static int is_guarded(void *block) { return arena && (char *)block >= arena && (char *)block < arena + arena_size; }

int posix_memalign(void **out, size_t alignment, size_t size) {
    init();
    size_t room = size ? (size + alignment - 1) / alignment * alignment : alignment;
    size_t bytes = (room + PAGE - 1) / PAGE * PAGE;
    char *header = arena + atomic_fetch_add(&used, bytes + 2 * PAGE), *pages = header + PAGE;
    if (mprotect(header, bytes + PAGE, PROT_READ | PROT_WRITE)) return ENOMEM;
    memset(pages, PATTERN, bytes);
    *(struct header *)header = (struct header){size, bytes};
    *out = pages + bytes - room;
    return 0;
}

static void check(const char *from, const char *to, size_t size) {
    for (; from < to; from++) {
        if (*from == PATTERN) continue;
        char text[100];
        int length = snprintf(text, sizeof text, "written outside a block of %zu bytes\n", size);
        if (write(2, text, (size_t)length) < 0) _exit(1);
        abort();
    }
}

void free(void *block) {
    init();
    if (!is_guarded(block)) {
        next_free(block);
        return;
    }
    char *pages = (char *)((uintptr_t)block / PAGE * PAGE);
    struct header header = *(struct header *)(pages - PAGE);
    check(pages, block, header.size);
    check((char *)block + header.size, pages + header.bytes, header.size);
    mprotect(pages - PAGE, header.bytes + PAGE, PROT_NONE);
    madvise(pages - PAGE, header.bytes + PAGE, MADV_DONTNEED);
}

size_t malloc_usable_size(void *block) { return is_guarded(block) ? 0 : next_usable_size(block); }
