// A crew of threads that share work, for the other C files here.
//
// Work comes in parts, and each thread takes the next part when it has done one, the caller too. So nobody waits for a
// member that sleeps, which takes some 50 µs to wake, as long as many an operation on a million numbers. A member that
// finds nothing to do looks again for a while before it sleeps, and lets others have its core between looks.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MEMBERS = 63, LOOKS = 4000, YIELD = 8 };      // 4,000 looks take some 50 µs
#if defined __x86_64__
#define PAUSE __builtin_ia32_pause()
#else
#define PAUSE atomic_signal_fence(memory_order_seq_cst)
#endif

// What is to be done: its number, how many parts it has, and which is next, in one word that changes at once. Whoever
// takes a part can rely on `work` and `job`: the caller, who writes them, waits until all that were taken are done.
static atomic_ulong todo;
#define PARTS(t) ((t) >> 16 & 0xffff)
#define NEXT(t) ((t) & 0xffff)
static atomic_long done, asleep;
static void (*work)(void *, long);
static void *job;

static pthread_mutex_t in_use = PTHREAD_MUTEX_INITIALIZER, door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static long members;
static pid_t home;                                    // threads do not survive a fork

static void look(long n) {
    if (n % YIELD) PAUSE; else sched_yield();
}

// Take the next part and do it. Return whether there was one.
static int help(void) {
    unsigned long t = atomic_load(&todo);
    while (NEXT(t) < PARTS(t))
        if (atomic_compare_exchange_weak(&todo, &t, t + 1)) {
            work(job, NEXT(t));
            atomic_fetch_add(&done, 1);
            return 1;
        }
    return 0;
}

static void *member(void *nothing) {
    for (long looks = 0;;) {
        unsigned long before = atomic_load(&todo);
        if (help()) looks = 0;
        else if (++looks < LOOKS) look(looks);
        else {
            pthread_mutex_lock(&door);
            atomic_fetch_add(&asleep, 1);
            while (atomic_load(&todo) == before) pthread_cond_wait(&bell, &door);
            atomic_fetch_sub(&asleep, 1);
            pthread_mutex_unlock(&door);
            looks = 0;
        }
    }
    return nothing;
}

static void hire(long wanted) {
    if (home != getpid()) {
        home = getpid(), members = 0;
        atomic_store(&asleep, 0);
        pthread_mutex_init(&door, 0), pthread_cond_init(&bell, 0);
    }
    for (pthread_t thread; members < wanted && members < MEMBERS; members++) {
        if (pthread_create(&thread, 0, member, 0)) return;
        pthread_detach(thread);
    }
}

// do_part(what, k) for k = 0 … parts − 1, on so many threads; return when all are done.
void share(void (*do_part)(void *, long), void *what, long parts, long threads) {
    if (threads < 2 || parts < 2 || parts > 0xffff || pthread_mutex_trylock(&in_use)) {     // another thread was first
        for (long k = 0; k < parts; k++) do_part(what, k);
        return;
    }
    hire(threads - 1);
    work = do_part, job = what;
    atomic_store(&done, 0);
    atomic_store(&todo, ((atomic_load(&todo) >> 32) + 1) << 32 | (unsigned long)parts << 16);
    if (atomic_load(&asleep)) {
        pthread_mutex_lock(&door);
        pthread_cond_broadcast(&bell);
        pthread_mutex_unlock(&door);
    }
    while (help()) {}
    for (long looks = 1; atomic_load(&done) < parts; looks++) look(looks);
    pthread_mutex_unlock(&in_use);
}
