#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

/* Debian's libfaketime does not know the condition variables of C11, which librdkafka waits with: it would tell librdkafka the
 * faked time and let glibc compare it with the real one. These are the same as those of pthreads, which it knows. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
    switch (pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until)) {
    case 0:
        return thrd_success;
    case ETIMEDOUT:
        return thrd_timedout;
    default:
        return thrd_error;
    }
}

/* While libfaketime readies itself it takes memory, and the allocator, which readies itself for that, asks for the time and makes a
 * condition variable: calls that would wait for libfaketime. Until it is ready these two do without it. */
static int (*faked_time)(clockid_t, struct timespec *);
static int (*faked_condition)(pthread_cond_t *, const pthread_condattr_t *);

/* Runs after the same of libfaketime, which is loaded behind this. */
__attribute__((constructor)) static void ready(void) {
    faked_condition = (int (*)(pthread_cond_t *, const pthread_condattr_t *))dlsym(RTLD_NEXT, "pthread_cond_init");
    faked_time = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    return faked_time ? faked_time(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
}

int pthread_cond_init(pthread_cond_t *restrict condition, const pthread_condattr_t *restrict attributes) {
    if (faked_condition) {
        return faked_condition(condition, attributes);
    }
    *condition = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    return 0;
}
