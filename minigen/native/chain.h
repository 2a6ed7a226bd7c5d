// What runs the loops that minigen/native/chains.py writes: one of the three is cut into parts, one for each thread.
typedef void (*sharer)(void (*work)(void *, long), void *job, long parts, long threads);       // see crew.c
enum { LOOPS = 3, MOST = 16 };

static void loops(const long *shape, const long *strides, const double *numbers, char *const *arrays);

struct job {
    const long *shape, *strides, *steps, *apart;      // of each array, in bytes: one step of the loop that is cut, and
    const double *numbers;                            // from what one part writes to what the next does
    char *const *arrays;
    long axis, parts, count;
};

static void do_part(void *given, long k) {
    const struct job *j = given;
    long from = j->shape[j->axis] * k / j->parts, to = j->shape[j->axis] * (k + 1) / j->parts;
    long shape[LOOPS];
    char *arrays[MOST];
    memcpy(shape, j->shape, sizeof shape);
    shape[j->axis] = to - from;
    for (long a = 0; a < j->count; a++) arrays[a] = j->arrays[a] + from * j->steps[a] + k * j->apart[a];
    loops(shape, j->strides, j->numbers, arrays);
}

void chain(sharer share, long threads, long parts, const long *shape, const long *strides, long axis, const long *steps,
           const long *apart, const double *numbers, long count, char *const *arrays) {
    struct job job = {shape, strides, steps, apart, numbers, arrays, axis, parts, count};
    share(do_part, &job, parts, threads);
}
