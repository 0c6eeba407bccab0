/* A libnvidia-ml.so.1 for tests: two GPUs, MIG on the second. The file named by NVML_STUB says how it behaves:
 * "" (well), init-error, unloaded, lost, no-memory, no-mig, empty (MIG without instances), latin, talks, hangs,
 * crashes. With -DOLD it lacks a symbol. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, NOT_LOADED = 9, GPU_IS_LOST = 15, MISMATCH = 18 };
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct device *Device; /* 1: the first GPU, 2: the second, 3 and up: its MIG instances */

static int is(const char *mode) {
    char said[32] = "";
    const char *path = getenv("NVML_STUB");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) {
        if (fscanf(file, "%31s", said) != 1) said[0] = 0;
        fclose(file);
    }
    return strcmp(said, mode) == 0;
}

int nvmlInitWithFlags(unsigned flags) {
    if (is("hangs")) for (;;) pause();
    if (is("crashes")) raise(SIGSEGV);
    if (is("talks")) { puts("NVML: a warning that nobody asked for"); fflush(stdout); }
    return is("init-error") ? MISMATCH : is("unloaded") ? NOT_LOADED : OK;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return OK; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { snprintf(text, size, "550.54.15"); return OK; }
#ifndef OLD
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return OK; }
#endif
int nvmlDeviceGetHandleByIndex_v2(unsigned place, Device *device) { *device = (Device)(long)(place + 1); return OK; }

int nvmlDeviceGetName(Device device, char *text, unsigned size) {
    static const char *names[] = {"NVIDIA H200", "NVIDIA H100 80GB HBM3",
                                  "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 80GB HBM3 MIG 2g.20gb"};
    if (is("lost") && (long)device == 2) return GPU_IS_LOST;
    snprintf(text, size, "%s", is("latin") ? "NVIDIA \xe9" : names[(long)device - 1]);
    return OK;
}

int nvmlDeviceGetUUID(Device device, char *text, unsigned size) {
    snprintf(text, size, "GPU-%ld", (long)device);
    return OK;
}

__attribute__((weak)) int nvmlDeviceGetMemoryInfo(Device device, Memory *memory) { /* chaos/gpu has another */
    if (is("no-memory")) return NOT_SUPPORTED;
    memory->total = ((long)device == 1 ? 141ULL : 80ULL) << 30;
    return OK;
}

int nvmlDeviceGetMigMode(Device device, unsigned *now, unsigned *next) {
    *now = *next = (long)device == 2 && !is("no-mig");
    return (long)device == 1 ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned *count) { *count = 7; return OK; }

int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned place, Device *instance) {
    if (is("empty") || (place != 0 && place != 3)) return NOT_FOUND; /* places have holes */
    *instance = (Device)(long)(place ? 4 : 3);
    return OK;
}
