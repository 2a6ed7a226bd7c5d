// Products of matrices, and convolutions, which are such products too: of a matrix that is never written down, since
// its numbers lie in x, and of q,
//
//     z[row_z[r] + o] = start + Σ_i x[row_x[r] + sum_x[i]] q[sum_q[i] + o].                                       (1)
//
// What the tables must hold is told in minigen/native/sums.py and minigen/ops/conv_compiled.py.
//
// A processor is fastest where it adds to numbers that stay in its registers. So we work on one tile of z after the
// other: R rows of V vectors of L numbers. For each i it takes V vectors of q and R numbers of x, for R·V products.
#include <string.h>

typedef REAL real;                                          // float or double, told to the compiler
#if defined __AVX512F__
enum { BYTES = 64, WIDEST = 4, R1 = 14, R2 = 12 };          // 32 registers hold a tile, V vectors of q, a number of x
#elif defined __AVX__
enum { BYTES = 32, WIDEST = 2, R1 = 12, R2 = 6 };           // 16 registers
#else
enum { BYTES = 16, WIDEST = 2, R1 = 12, R2 = 6 };
#endif
enum { L = BYTES / sizeof(real), R3 = 8, R4 = 6, MOST = 14, DEEP = 1024 };
typedef real vector __attribute__((vector_size(BYTES)));
typedef real unaligned __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));
#define EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#define INLINE static inline __attribute__((always_inline))

struct sums {
    long rows, terms, O;                                    // r, i and o in Eq. (1) run up to these
    const int *row_x, *row_z, *sum_x, *sum_q;
    long q_step;                                            // from o to o + 1 in q; 0: 1, and q need not be copied
    long q_first, x_image, q_image, z_image;                // where q begins; numbers from one image to the next
    long lines, run, x_line, x_first, line, first;          // of x, what is copied into a buffer with zeros around
};

INLINE vector load(const real *p) { return *(const unaligned *)p; }
INLINE long least(long a, long b) { return a < b ? a : b; }

// Eq. (1) for rows row … row + R − 1 and V vectors from o on, whose numbers of q begin at right[at_q[i]]. R and V are
// constants wherever this is called.
INLINE void tile(int R, int V, const struct sums *s, const real *x, const real *right, const int *at_q, const real *b,
                 real *z, long row, long o) {
    int rows = least(R, s->rows - row), count = least(V * L, s->O - o);
    const real *p[MOST];
    vector sum[MOST][4];
    EACH(r, R) {
        p[r] = x + s->row_x[row + least(r, rows - 1)];      // the last tile repeats its last row
        EACH(v, V) sum[r][v] = b ? load(b + o + v * L) : (vector){0};
    }
    for (long i = 0; i < s->terms; i++) {
        const real *line = right + at_q[i];
        long at = s->sum_x[i];
        vector q[4];
        EACH(v, V) q[v] = load(line + v * L);
        EACH(r, R) EACH(v, V) sum[r][v] += p[r][at] * q[v];
    }
    EACH(r, R) if (r < rows) {
        real *to = z + s->row_z[row + r] + o;
        if (count == V * L)
            EACH(v, V) *(unaligned *)(to + v * L) = b ? sum[r][v] : load(to + v * L) + sum[r][v];
        else {                                              // the last vectors reach beyond the last o
            vector line[4];
            EACH(v, V) line[v] = sum[r][v];
            for (int k = 0; k < count; k++) to[k] = (b ? 0 : to[k]) + line[k / L][k % L];
        }
    }
}

// V vectors of each row of q, from o on, side by side; and where those of each i begin. Where a row runs across memory,
// L rows together, so that what is read of a line of the cache is used while it is there.
static void pack(const struct sums *s, const real *q, long o, int V, real *packed, int *at_q) {
    int count = least(V * L, s->O - o);
    q += o * s->q_step;
    for (long first = 0; first < s->terms; first += L) {
        int rows = least(L, s->terms - first);
        real *to = packed + first * V * L;
        for (int i = 0; i < rows; i++) {
            at_q[first + i] = (first + i) * V * L;
            if (s->q_step == 1) memcpy(to + i * V * L, q + s->sum_q[first + i], count * sizeof(real));
            memset(to + i * V * L + count, 0, (V * L - count) * sizeof(real));
        }
        if (s->q_step != 1)
            for (int k = 0; k < count; k++)
                for (int i = 0; i < rows; i++) to[i * V * L + k] = q[s->sum_q[first + i] + k * s->q_step];
    }
}

static void product_of_terms(const struct sums *s, const real *x, const real *q, const real *b, real *z, real *room) {
    int *packed_at = (int *)(room + s->terms * WIDEST * L);
    for (long o = 0, V; o < s->O; o += V * L) {
        V = least(WIDEST, (s->O - o + L - 1) / L);
        const real *right = q + o;
        const int *at = s->sum_q;
        if (s->q_step) pack(s, q, o, V, room, packed_at), right = room, at = packed_at;
        if (V == 4)      for (long r = 0; r < s->rows; r += R4) tile(R4, 4, s, x, right, at, b, z, r, o);
        else if (V == 3) for (long r = 0; r < s->rows; r += R3) tile(R3, 3, s, x, right, at, b, z, r, o);
        else if (V == 2) for (long r = 0; r < s->rows; r += R2) tile(R2, 2, s, x, right, at, b, z, r, o);
        else             for (long r = 0; r < s->rows; r += R1) tile(R1, 1, s, x, right, at, b, z, r, o);
    }
}

// Eq. (1), so many terms at a time that what is taken of q again and again stays in the cache.
static void product(const struct sums *s, const real *x, const real *q, const real *b, real *z, real *room) {
    struct sums some = *s;
    for (long i = 0; i < s->terms || i == 0; i += DEEP) {
        some.sum_x = s->sum_x + i, some.sum_q = s->sum_q + i, some.terms = least(DEEP, s->terms - i);
        product_of_terms(&some, x, q, i ? 0 : b, z, room);
    }
}

INLINE real total(vector a) {
    real part[L];
    memcpy(part, &a, sizeof a);
    if (L > 8) EACH(l, 8) part[l] += part[l + 8];
    if (L > 4) EACH(l, 4) part[l] += part[l + 4];
    if (L > 2) EACH(l, 2) part[l] += part[l + 2];
    return part[0] + part[1];
}

// Eq. (1) for few o and q of rows o: vectors along i, which must lie side by side in x, L at a time.
static void dots(const struct sums *s, const real *x, const real *q, const real *b, real *z, real *unused) {
    enum { R = 8 };
    for (long o = 0; o < s->O; o++, q += s->terms)
        for (long row = 0; row < s->rows; row += R) {
            const real *p[R];
            vector sum[R];
            EACH(r, R) p[r] = x + s->row_x[least(row + r, s->rows - 1)], sum[r] = (vector){0};
            for (long i = 0; i < s->terms; i += L) {
                vector right = load(q + i);
                EACH(r, R) sum[r] += load(p[r] + s->sum_x[i]) * right;
            }
            for (int r = 0; r < R && row + r < s->rows; r++) z[s->row_z[row + r] + o] = b[o] + total(sum[r]);
        }
}

// ---- shared out over the crew (crew.c) ------------------------------------------------------------------------------
typedef void (*sharer)(void (*work)(void *, long), void *job, long parts, long threads);
typedef void (*computer)(const struct sums *, const real *, const real *, const real *, real *, real *);
enum cut { IMAGES, ROWS, COLUMNS };

struct job {
    const struct sums *s;
    long S, N, parts, room, apart;
    const real *x, *q, *b;
    real *rooms, *z;
    computer compute;
    enum cut cut;
};

// From where to where part k of n things goes, in steps of `step`.
INLINE long edge(const struct job *j, long n, long step, long k) {
    return least(n, (n + step - 1) / step * k / j->parts * step);
}

static void do_part(void *given, long k) {
    const struct job *j = given;
    struct sums s = *j->s;
    real *room = j->rooms + k * j->room;
    long first = 0, last = j->N, columns = 0;
    if (j->cut == IMAGES) first = edge(j, j->N, 1, k), last = edge(j, j->N, 1, k + 1);
    if (j->cut == ROWS) {
        long row = edge(j, s.rows, R2, k);
        s.rows = edge(j, s.rows, R2, k + 1) - row, s.row_x += row, s.row_z += row;
    }
    if (j->cut == COLUMNS) columns = edge(j, s.O, WIDEST * L, k), s.O = edge(j, s.O, WIDEST * L, k + 1) - columns;
    for (long n = first; n < last; n++) {
        const real *x = j->x + n * s.x_image;
        for (long i = 0; i < s.lines; i++)
            memcpy(room + s.first + i * s.line, x + s.x_first + i * s.x_line, s.run * sizeof(real));
        for (long i = 0; i < j->S; i++) {
            const struct sums *t = j->cut == IMAGES ? j->s + i : &s;
            const real *q = j->q + t->q_first + n * t->q_image + columns * (t->q_step ? t->q_step : 1);
            j->compute(t, s.lines ? room : x, q, j->b ? j->b + columns : 0,
                       j->z + k * j->apart + n * t->z_image + columns, room);
        }
    }
}

// S sums over each of N images of x, all of which read it with the same zeros around; cut into parts by images, or
// where S = 1 by rows or columns of z. Each part has `room` numbers to work in, and writes `apart` numbers after the
// last one.
void over_images(sharer share, long threads, long parts, long cut, const struct sums *s, long S, long N, const real *x,
                 real *rooms, long room, const real *q, const real *b, real *z, long apart, long few) {
    struct job job = {s, S, N, parts, room, apart, x, q, b, rooms, z, few ? dots : product, cut};
    share(do_part, &job, parts, threads);
}

long lanes(void) { return L; }
long widest(void) { return WIDEST; }
