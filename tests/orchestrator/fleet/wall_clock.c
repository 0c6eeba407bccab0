/* A host whose clocks are wrong, for all processes that load this.

   WALL_CLOCK_OFF_S     seconds by which its time of day is ahead
   WALL_CLOCK_PPM       how much too fast its time of day runs besides, in parts per million, since uptime
   WALL_CLOCK_SINCE_S   (seconds of CLOCK_BOOTTIME)
   WALL_CLOCK_STEP_S    seconds by which it jumps ahead, for as long as there is a file called
   WALL_CLOCK_STEP_FILE
   STEADY_CLOCK_PPM     how much too fast its quartz is: CLOCK_MONOTONIC and CLOCK_BOOTTIME, from their zero on;
                        what waits until a time of these clocks is told the true one */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const long long NS = 1000000000;

static long off_s, wall_ppm, since_s, step_s, steady_ppm;
static const char *step_file;

static long told(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void read_all(void) {
    off_s = told("WALL_CLOCK_OFF_S");
    wall_ppm = told("WALL_CLOCK_PPM");
    since_s = told("WALL_CLOCK_SINCE_S");
    step_s = told("WALL_CLOCK_STEP_S");
    const char *file = getenv("WALL_CLOCK_STEP_FILE");
    step_file = file ? strdup(file) : NULL; /* who sets its title writes over its environment */
    steady_ppm = told("STEADY_CLOCK_PPM");
}

static long long ns_of(const struct timespec *at) { return at->tv_sec * NS + at->tv_nsec; }

static struct timespec at_ns(long long ns) { return (struct timespec){ns / NS, ns % NS}; }

static long long share(long long ns, long ppm) { return (long long)((__int128)ns * ppm / 1000000); }

static int is_steady(clockid_t clock) { return clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME; }

static int really(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = REAL(clock_gettime);
    return real(clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int answer = really(clock, now);
    if (answer) return answer;
    if (clock == CLOCK_REALTIME) {
        struct timespec up;
        really(CLOCK_BOOTTIME, &up);
        long long drifted = share(ns_of(&up) - since_s * NS, wall_ppm);
        long jumped_s = step_file && !access(step_file, F_OK) ? step_s : 0;
        *now = at_ns(ns_of(now) + (off_s + jumped_s) * NS + drifted);
    } else if (is_steady(clock)) {
        *now = at_ns(ns_of(now) + share(ns_of(now), steady_ppm));
    }
    return 0;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

/* The moment that the kernel knows, of one that a process of this host means. */
static struct timespec true_time(clockid_t clock, const struct timespec *meant) {
    if (is_steady(clock)) return at_ns((long long)((__int128)ns_of(meant) * 1000000 / (1000000 + steady_ppm)) + 1);
    if (clock == CLOCK_REALTIME) {
        struct timespec now, shown;
        really(clock, &now);
        clock_gettime(clock, &shown);
        return at_ns(ns_of(meant) - ns_of(&shown) + ns_of(&now));
    }
    return *meant;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    struct timespec at = flags & TIMER_ABSTIME ? true_time(clock, until) : *until;
    return REAL(clock_nanosleep)(clock, flags, &at, left);
}

int timerfd_settime(int timer, int flags, const struct itimerspec *set, struct itimerspec *before) {
    struct itimerspec at = *set;
    int armed = at.it_value.tv_sec || at.it_value.tv_nsec;
    if (armed && flags & TFD_TIMER_ABSTIME) at.it_value = true_time(CLOCK_MONOTONIC, &set->it_value);
    return REAL(timerfd_settime)(timer, flags, &at, before);
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until) {
    struct timespec at = true_time(clock, until);
    return REAL(sem_clockwait)(semaphore, clock, &at);
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           clockid_t clock, const struct timespec *restrict until) {
    struct timespec at = true_time(clock, until);
    return REAL(pthread_cond_clockwait)(condition, mutex, clock, &at);
}

/* Its clock was chosen when the condition was made; no time since boot is as far on as any time of day. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    /* glibc on x86-64 has two of this name, and the plain search finds the old one */
    void *newer = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    struct timespec at = true_time(until->tv_sec < NS ? CLOCK_MONOTONIC : CLOCK_REALTIME, until);
    __typeof__(&pthread_cond_timedwait) real = newer ? newer : REAL(pthread_cond_timedwait);
    return real(condition, mutex, &at);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    struct timespec at = true_time(CLOCK_REALTIME, until);
    return REAL(sem_timedwait)(semaphore, &at);
}
