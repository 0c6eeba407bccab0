/* A server that knows the truth: small JSON answers and OpenAI chat streams, each request's times in a log.

   Build:  cc -O2 -o truth truth.c -lm           (benchmarks/truth_server.py does it into a temporary folder)
   Start:  ./truth [--port 0] [--cpu N] [--first-ms 50] [--gap-ms 10] [--tokens 64] [--role]
                   [--service none|constant:MS|exponential:MS|lognormal:MEDIAN_MS:SIGMA|bimodal:MS:MS:SHARE]
                   [--stall AT_MS:FOR_MS] [--seed 1] [--log FILE]
   It prints its port as the first line, serves 127.0.0.1 alone, writes FILE at SIGTERM, ends with its parent.

   What it answers (HTTP/1.1, keep-alive, Content-Length bodies):
     POST .../completions   "stream": true in the body: a stream of `max_tokens` (or max_completion_tokens, else
                            --tokens) chunks, the first --first-ms after the request, then one each --gap-ms; with
                            "include_usage": true a usage chunk; then [DONE]. The status line leaves with the first
                            token, as an inference server's does; with --role it leaves at once with a chunk that
                            has a role and no text. Else one JSON answer with usage, after --service.
     GET /health, /v1/models   what clients ask before they begin; not logged
     GET /truth             the log as CSV          GET /truth/reset   forget it, start the stall's clock again
     GET /truth/summary     one JSON object: requests, the server's own error, its CPU
     GET /truth/count       requests and CPU alone: cheap enough for the middle of a run
     anything else          {"ok": true } after --service

   The log, a row a request in the order of arrival, CLOCK_MONOTONIC nanoseconds (the clock of Python's
   time.monotonic_ns):
     id            x-shakeout-id, else x-request-id, else x-correlation-id, else "-"
     kind          json or stream
     received_ns   the poll that showed the request's last byte returned (the byte was there by then)
     first_due_ns, first_ns   first token (or the JSON answer): when it was meant to leave; just before write()
     last_due_ns, last_ns     the same of the last token
     late_ns       the worst of (written - due) of this request's writes
     tokens        chunks with text written;   done   1 when all left, 0 when the client went away
   TTFT truth = first_ns - received_ns. Stamps stand before write(), so a client's own time is never below truth
   but by the two clock reads. Its own error is at most late_ns plus the length of one turn of its loop, which
   /truth/summary gives (turn_max_ns); a turn is short: due writes are done 32 at a time between polls. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 64, DUE_AT_ONCE = 32, INPUT_FIRST = 4096, INPUT_MAX = 16 << 20, ID_BYTES = 56 };
enum { JSON, STREAM };
enum { NONE, CONSTANT, EXPONENTIAL, LOGNORMAL, BIMODAL };

typedef struct {
    char id[ID_BYTES];
    int64_t received, first_due, first, last_due, last, late;
    int32_t tokens;
    int8_t kind, done;
} Row;

typedef struct {
    int fd, close_after, wants_out, usage, tokens, sent, slot;  /* slot: place in the heap, -1 outside */
    int64_t due;
    size_t row; /* in the log; SIZE_MAX: not logged */
    char *in, *out;
    size_t in_len, in_size, out_len, out_size;
    int busy, kind, dead;
} Conn;

static int64_t first_ns = 50000000, gap_ns = 10000000, stall_at = -1, stall_for, epoch, loop_begun, turn_max;
static int tokens_default = 64, role_first, service = NONE, poller, timer, heap_len, heap_size;
static double service_a, service_b, service_c;
static uint64_t random_state = 1;
static Conn **heap;
static Row *rows;
static size_t rows_len, rows_size;
static const char *log_path;
static volatile sig_atomic_t ending;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *grown(void *at, size_t bytes) {
    void *more = realloc(at, bytes);
    if (!more) { perror("truth: memory"); exit(70); }
    return more;
}

static double uniform(void) { /* xorshift64*, in (0, 1) */
    random_state ^= random_state >> 12; random_state ^= random_state << 25; random_state ^= random_state >> 27;
    return ((double)((random_state * 2685821657736338717ULL) >> 11) + 0.5) / 9007199254740992.0;
}

static int64_t service_ns(void) {
    double ms = 0;
    if (service == CONSTANT) ms = service_a;
    if (service == EXPONENTIAL) ms = -service_a * log(uniform());
    if (service == LOGNORMAL)
        ms = service_a * exp(service_b * sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()));
    if (service == BIMODAL) ms = uniform() < service_c ? service_b : service_a;
    return (int64_t)(ms * 1e6);
}

static int64_t after_stall(int64_t due) { /* what falls into the stall leaves at its end */
    if (stall_at < 0 || due < epoch + stall_at || due >= epoch + stall_at + stall_for) return due;
    return epoch + stall_at + stall_for;
}

/* --- the heap of what is due ----------------------------------------------------------------------- */
static void put(int slot, Conn *c) { heap[slot] = c; c->slot = slot; }

static void rise(int slot, Conn *c) {
    while (slot && heap[(slot - 1) / 2]->due > c->due) { put(slot, heap[(slot - 1) / 2]); slot = (slot - 1) / 2; }
    put(slot, c);
}

static void sink(int slot, Conn *c) {
    for (int child; (child = 2 * slot + 1) < heap_len; slot = child) {
        if (child + 1 < heap_len && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        put(slot, heap[child]);
    }
    put(slot, c);
}

static void plan(Conn *c, int64_t due) {
    c->due = due;
    if (c->slot >= 0) { sink(c->slot, c); rise(c->slot, c); return; }
    if (heap_len == heap_size) heap = grown(heap, sizeof *heap * (size_t)(heap_size = heap_size ? 2 * heap_size : 1024));
    rise(heap_len++, c);
}

static void forget(Conn *c) {
    if (c->slot < 0) return;
    int slot = c->slot;
    Conn *last = heap[--heap_len];
    c->slot = -1;
    if (last != c) { sink(slot, last); rise(last->slot, last); }
}

/* --- writing ---------------------------------------------------------------------------------------- */
static void watch(Conn *c, int out) {
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | (out ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    c->wants_out = out;
}

static void flush(Conn *c) {
    ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) { c->dead = 1; return; }
    if (n > 0) { c->out_len -= (size_t)n; memmove(c->out, c->out + n, c->out_len); }
    if ((c->out_len > 0) != c->wants_out) watch(c, c->out_len > 0);
    if (!c->out_len && c->close_after && !c->busy) c->dead = 1;
}

static void say(Conn *c, const char *bytes, size_t len) {
    ssize_t n = c->out_len ? 0 : send(c->fd, bytes, len, MSG_NOSIGNAL);
    if (n < 0) { if (errno != EAGAIN) { c->dead = 1; return; } n = 0; }
    if ((size_t)n == len) { if (c->close_after && !c->busy) c->dead = 1; return; }
    size_t rest = len - (size_t)n;
    if (c->out_len + rest > c->out_size) c->out = grown(c->out, c->out_size = 2 * (c->out_len + rest));
    memcpy(c->out + c->out_len, bytes + n, rest);
    c->out_len += rest;
    if (!c->wants_out) watch(c, 1);
}

static void say_body(Conn *c, const char *type, const char *body, size_t len) {
    char head[160];
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-type: %s\r\nserver: truth\r\ncontent-length: %zu\r\n\r\n", type, len);
    char small[1024];
    if ((size_t)n + len <= sizeof small) {
        memcpy(small, head, (size_t)n); memcpy(small + n, body, len);
        say(c, small, (size_t)n + len);
        return;
    }
    int closing = c->close_after; /* not between head and body */
    c->close_after = 0; say(c, head, (size_t)n);
    c->close_after = closing; say(c, body, len);
}

#define EVENT_HEAD "data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"truth\",\"choices\":["
#define STREAM_HEAD "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nserver: truth\r\ntransfer-encoding: chunked\r\n\r\n"
#define ROLE EVENT_HEAD "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
#define WORD EVENT_HEAD "{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n"
#define LAST EVENT_HEAD "{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":\"length\"}]}\n\n"
#define USAGE EVENT_HEAD "],\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n"
#define DONE "data: [DONE]\n\n"

static size_t chunk(char *to, const char *text) { return (size_t)sprintf(to, "%zx\r\n%s\r\n", strlen(text), text); }

static void say_token(Conn *c) {
    static char word[512];
    static size_t word_len;
    if (!word_len) word_len = chunk(word, WORD);
    char text[4096], usage[512];
    size_t n = 0;
    if (c->sent == 0 && !role_first) n += (size_t)sprintf(text, STREAM_HEAD);
    if (++c->sent < c->tokens) {
        if (!n) { say(c, word, word_len); return; }
        memcpy(text + n, word, word_len);
        say(c, text, n + word_len);
        return;
    }
    n += chunk(text + n, LAST);
    if (c->usage) { sprintf(usage, USAGE, c->tokens, 16 + c->tokens); n += chunk(text + n, usage); }
    n += chunk(text + n, DONE);
    memcpy(text + n, "0\r\n\r\n", 5);
    c->busy = 0;
    say(c, text, n + 5);
}

static void say_json(Conn *c) {
    char body[512];
    int n = c->tokens
        ? sprintf(body, "{\"id\":\"chatcmpl-0\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"truth\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\" word\"},\"text\":\" word\",\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":%d,\"total_tokens\":%d}}", c->tokens, 16 + c->tokens)
        : sprintf(body, "{\"ok\": true }");
    c->busy = 0;
    say_body(c, "application/json", body, (size_t)n);
}

/* --- the log ---------------------------------------------------------------------------------------- */
static char *log_text(size_t *len) {
    size_t size = 256 + rows_len * 224, n = 0;
    char *text = grown(NULL, size);
    n += (size_t)sprintf(text, "id,kind,received_ns,first_due_ns,first_ns,last_due_ns,last_ns,late_ns,tokens,done\n");
    for (size_t i = 0; i < rows_len; i++) {
        Row *r = rows + i;
        n += (size_t)sprintf(text + n, "%s,%s,%ld,%ld,%ld,%ld,%ld,%ld,%d,%d\n", r->id, r->kind == STREAM ? "stream" : "json",
                             r->received, r->first_due, r->first, r->last_due, r->last, r->late, r->tokens, r->done);
    }
    *len = n;
    return text;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static size_t summary(char *to, size_t size) {
    int64_t *late = grown(NULL, sizeof *late * (rows_len + 1));
    size_t done = 0;
    for (size_t i = 0; i < rows_len; i++) { late[i] = rows[i].late; done += (size_t)rows[i].done; }
    qsort(late, rows_len, sizeof *late, by_value);
    int64_t p50 = rows_len ? late[rows_len / 2] : 0, p99 = rows_len ? late[rows_len * 99 / 100] : 0, max = rows_len ? late[rows_len - 1] : 0;
    free(late);
    return (size_t)snprintf(to, size, "{\"requests\": %zu, \"done\": %zu, \"late_p50_ns\": %ld, \"late_p99_ns\": %ld, \"late_max_ns\": %ld, \"turn_max_ns\": %ld, \"cpu_s\": %.6f}",
                            rows_len, done, p50, p99, max, turn_max, cpu_s());
}

static size_t new_row(int kind) {
    if (rows_len == rows_size) rows = grown(rows, sizeof *rows * (rows_size = rows_size ? 2 * rows_size : 1 << 16));
    memset(rows + rows_len, 0, sizeof *rows);
    rows[rows_len].kind = (int8_t)kind;
    rows[rows_len].received = loop_begun;
    return rows_len++;
}

/* --- reading ---------------------------------------------------------------------------------------- */
static const char *header(const char *head, const char *end, const char *name) { /* name in lower case with its colon */
    size_t len = strlen(name);
    for (const char *at = head; (at = memchr(at, '\n', (size_t)(end - at))) && ++at < end;)
        if ((size_t)(end - at) > len && !strncasecmp(at, name, len)) {
            for (at += len; at < end && *at == ' ';) at++;
            return at;
        }
    return NULL;
}

static int has(const char *body, size_t len, const char *key, const char *value) { /* "key": value, blanks or none */
    const char *at = body, *end = body + len;
    while ((at = memmem(at, (size_t)(end - at), key, strlen(key)))) {
        for (at += strlen(key); at < end && (*at == ' ' || *at == ':'); at++) {}
        if ((size_t)(end - at) >= strlen(value) && !memcmp(at, value, strlen(value))) return 1;
    }
    return 0;
}

static int number(const char *body, size_t len, const char *key) {
    const char *at = memmem(body, len, key, strlen(key)), *end = body + len;
    if (!at) return 0;
    for (at += strlen(key); at < end && (*at == ' ' || *at == ':'); at++) {}
    return at < end ? atoi(at) : 0;
}

static void name_row(Row *row, const char *head, const char *end) {
    const char *id = header(head, end, "x-shakeout-id:");
    if (!id) id = header(head, end, "x-request-id:");
    if (!id) id = header(head, end, "x-correlation-id:");
    size_t n = 0;
    for (; id && id + n < end && id[n] != '\r' && id[n] != ',' && n < ID_BYTES - 1; n++) row->id[n] = id[n];
    if (!n) row->id[n++] = '-';
    row->id[n] = 0;
}

static int side_question(Conn *c, const char *path, size_t len) { /* what is not work: answered at once, not logged */
    size_t n;
    char text[512], *all;
    c->busy = 0;
    if (len == 6 && !memcmp(path, "/truth", 6)) {
        all = log_text(&n);
        say_body(c, "text/csv", all, n);
        free(all);
    } else if (len == 12 && !memcmp(path, "/truth/reset", 12)) {
        rows_len = 0; turn_max = 0; epoch = 0;
        for (int i = 0; i < heap_len; i++) heap[i]->row = SIZE_MAX;
        say_body(c, "application/json", "{}", 2);
    } else if (len == 14 && !memcmp(path, "/truth/summary", 14)) {
        n = summary(text, sizeof text);
        say_body(c, "application/json", text, n);
    } else if (len == 12 && !memcmp(path, "/truth/count", 12)) {
        n = (size_t)snprintf(text, sizeof text, "{\"requests\": %zu, \"cpu_s\": %.6f}", rows_len, cpu_s());
        say_body(c, "application/json", text, n);
    } else if ((len == 7 && !memcmp(path, "/health", 7)) || (len == 10 && !memcmp(path, "/v1/models", 10))) {
        const char *models = "{\"object\":\"list\",\"data\":[{\"id\":\"truth\",\"object\":\"model\",\"created\":1,\"owned_by\":\"truth\"}]}";
        say_body(c, "application/json", models, strlen(models));
    } else return 0;
    return 1;
}

static void begin(Conn *c, const char *head, const char *end, const char *body, size_t body_len) {
    const char *path = memchr(head, ' ', (size_t)(end - head));
    const char *stop = path ? memchr(path + 1, ' ', (size_t)(end - path - 1)) : NULL;
    if (!stop) { c->dead = 1; return; }
    size_t len = (size_t)(stop - ++path);
    const char *closing = header(head, end, "connection:");
    c->close_after = closing && !strncasecmp(closing, "close", 5);
    if (side_question(c, path, len)) return;
    if (!epoch) epoch = loop_begun;
    int asks_text = memmem(path, len, "/completions", 12) != NULL;
    c->kind = asks_text && has(body, body_len, "\"stream\"", "true") ? STREAM : JSON;
    c->row = new_row(c->kind);
    c->sent = c->tokens = 0;
    name_row(rows + c->row, head, end);
    if (asks_text) {
        c->tokens = number(body, body_len, "\"max_completion_tokens\"");
        if (!c->tokens) c->tokens = number(body, body_len, "\"max_tokens\"");
        if (c->tokens < 1) c->tokens = tokens_default;
        c->usage = has(body, body_len, "\"include_usage\"", "true");
    }
    c->busy = 1;
    if (c->kind == STREAM && role_first) {
        char text[1024];
        size_t n = (size_t)sprintf(text, STREAM_HEAD);
        say(c, text, n + chunk(text + n, ROLE));
    }
    int64_t due = after_stall(loop_begun + (c->kind == STREAM ? first_ns : service_ns()));
    rows[c->row].first_due = due;
    plan(c, due); /* without service time it is due in this same turn */
}

static void take_requests(Conn *c) {
    size_t used = 0;
    while (!c->busy && !c->dead && used < c->in_len) {
        char *head = c->in + used, *end = memmem(head, c->in_len - used, "\r\n\r\n", 4);
        if (!end) break;
        const char *length = header(head, end, "content-length:");
        size_t body_len = length ? strtoul(length, NULL, 10) : 0, total = (size_t)(end + 4 - head) + body_len;
        if (total > INPUT_MAX || header(head, end, "transfer-encoding:")) { c->dead = 1; break; }
        if (total > c->in_len - used) break;
        begin(c, head, end, end + 4, body_len);
        used += total;
    }
    if (used) { c->in_len -= used; memmove(c->in, c->in + used, c->in_len); }
}

static void take_bytes(Conn *c) {
    if (c->in_len == c->in_size) {
        if (c->in_size >= INPUT_MAX) { c->dead = 1; return; }
        c->in = grown(c->in, c->in_size = c->in_size ? 2 * c->in_size : INPUT_FIRST);
    }
    ssize_t n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) { c->dead = 1; return; }
    if (n > 0) { c->in_len += (size_t)n; if (!c->busy) take_requests(c); }
}

static void bury(Conn *c) {
    forget(c);
    close(c->fd);
    free(c->in); free(c->out); free(c);
}

static void write_due(Conn *c, int64_t now) {
    Row *row = c->row < rows_len ? rows + c->row : NULL;
    if (row) {
        if (!c->sent) row->first = now;
        row->last = now; row->last_due = c->due;
        if (now - c->due > row->late) row->late = now - c->due;
    }
    if (c->kind == JSON) say_json(c); else say_token(c);
    if (row) { row->tokens = c->sent; row->done = !c->busy && !(c->dead && !c->close_after); }
    if (c->dead) { bury(c); return; }
    if (c->busy) { plan(c, after_stall(c->due + gap_ns)); return; } /* the next is due by plan, however late this one */
    forget(c);
    if (c->in_len) take_requests(c);
    if (c->dead) bury(c);
}

static void meet(int listener) {
    for (int fd, on = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Conn *c = grown(NULL, sizeof *c);
        memset(c, 0, sizeof *c);
        c->fd = fd; c->slot = -1; c->row = SIZE_MAX;
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

static void arm(void) { /* wake when the next is due; a time that is past fires at once */
    static int64_t armed;
    int64_t due = heap_len ? heap[0]->due : 0;
    if (due == armed && due > now_ns()) return;
    armed = due;
    struct itimerspec t = {.it_value = {due / 1000000000, due % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void serve(int listener) {
    struct epoll_event events[EVENTS];
    uint64_t ticks;
    int behind = 0;
    while (!ending) {
        if (!behind) arm();
        int n = epoll_wait(poller, events, EVENTS, behind ? 0 : 1000);
        loop_begun = now_ns();
        for (int i = 0; i < n; i++) {
            Conn *c = events[i].data.ptr;
            if (!c) { meet(listener); continue; }
            if (c == (Conn *)&timer) { (void)!read(timer, &ticks, sizeof ticks); continue; }
            if (events[i].events & (EPOLLERR | EPOLLHUP)) c->dead = 1;
            if (!c->dead && events[i].events & EPOLLOUT) flush(c);
            if (!c->dead && events[i].events & (EPOLLIN | EPOLLRDHUP)) take_bytes(c);
            if (c->dead) bury(c);
            else if (c->busy && c->kind == JSON && c->due <= loop_begun) write_due(c, now_ns());
        }
        int64_t now = now_ns();
        for (int i = 0; i < DUE_AT_ONCE && heap_len && heap[0]->due <= now; i++) { write_due(heap[0], now); now = now_ns(); }
        behind = heap_len && heap[0]->due <= now;
        if (now - loop_begun > turn_max) turn_max = now - loop_begun;
    }
}

static void on_end(int number_) { (void)number_; ending = 1; }

static void read_service(const char *text) {
    const char *names[] = {"none", "constant:", "exponential:", "lognormal:", "bimodal:"};
    for (int i = 0; i < 5; i++)
        if (!strncmp(text, names[i], strlen(names[i]))) {
            service = i;
            int got = sscanf(text + strlen(names[i]), "%lf:%lf:%lf", &service_a, &service_b, &service_c);
            if (got < (int[]){-1, 1, 1, 2, 3}[i]) break;
            return;
        }
    fprintf(stderr, "truth: --service %s: see the head of truth.c\n", text);
    exit(2);
}

int main(int count, char **args) {
    int port = 0, on = 1;
    for (int i = 1; i < count; i++) {
        const char *name = args[i], *value = i + 1 < count ? args[i + 1] : "";
        double at, length;
        cpu_set_t cpus;
        if (!strcmp(name, "--role")) { role_first = 1; continue; }
        i++;
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--first-ms")) first_ns = (int64_t)(atof(value) * 1e6);
        else if (!strcmp(name, "--gap-ms")) gap_ns = (int64_t)(atof(value) * 1e6);
        else if (!strcmp(name, "--tokens")) tokens_default = atoi(value);
        else if (!strcmp(name, "--service")) read_service(value);
        else if (!strcmp(name, "--seed")) random_state = strtoull(value, NULL, 10) * 0x9E3779B97F4A7C15ULL | 1;
        else if (!strcmp(name, "--log")) log_path = value;
        else if (!strcmp(name, "--stall") && sscanf(value, "%lf:%lf", &at, &length) == 2) {
            stall_at = (int64_t)(at * 1e6); stall_for = (int64_t)(length * 1e6);
        } else if (!strcmp(name, "--cpu")) {
            CPU_ZERO(&cpus); CPU_SET(atoi(value), &cpus);
            if (sched_setaffinity(0, sizeof cpus, &cpus)) { perror("truth: --cpu"); return 2; }
        } else { fprintf(stderr, "truth: unknown option %s %s: see the head of truth.c\n", name, value); return 2; }
    }
    prctl(PR_SET_TIMERSLACK, 1UL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct sigaction act = {.sa_handler = on_end};
    sigaction(SIGTERM, &act, NULL); sigaction(SIGINT, &act, NULL);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    if (bind(listener, (struct sockaddr *)&here, size) || listen(listener, 8192)) { perror("truth: listen"); return 2; }
    getsockname(listener, (struct sockaddr *)&here, &size);
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    e.data.ptr = &timer;
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    serve(listener);
    if (log_path) {
        size_t len;
        char *text = log_text(&len);
        FILE *file = fopen(log_path, "w");
        if (!file || fwrite(text, 1, len, file) != len || fclose(file)) { perror("truth: --log"); return 70; }
    }
    return 0;
}
