// LinUCB with disjoint arms as one fused loop: single precision, A^-1 kept square and updated by
// Sherman-Morrison. No bookkeeping, no checks, no propensities: a limit to compare with.
//
// lin_ucb FOLDER K D EVENTS: reads x.f32 (T, D) and rewards.u8 (T, K), prints one line of JSON.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Not ru_maxrss: that one remembers the process that started this one.
static double peak_mb(void) {
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kilobytes) == 1) break;
    if (file) fclose(file);
    return kilobytes / 1024;
}

static void *load(const char *folder, const char *name, size_t bytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    void *data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!file || !data || fread(data, 1, bytes, file) != bytes) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    fclose(file);
    return data;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    const size_t K = strtoul(argv[2], 0, 10), d = strtoul(argv[3], 0, 10);
    const size_t T = strtoul(argv[4], 0, 10);
    const float *X = load(argv[1], "x.f32", T * d * sizeof(float));
    const unsigned char *R = load(argv[1], "rewards.u8", T * K);
    float *P = aligned_alloc(64, K * d * d * sizeof(float));
    float *theta = aligned_alloc(64, K * d * sizeof(float));
    float *u = aligned_alloc(64, K * d * sizeof(float));
    memset(P, 0, K * d * d * sizeof(float));
    memset(theta, 0, K * d * sizeof(float));
    for (size_t k = 0; k < K; k++)
        for (size_t i = 0; i < d; i++) P[(k * d + i) * d + i] = 1;
    const double start = cpu_seconds();
    size_t reward = 0;
    for (size_t t = 0; t < T; t++) {
        const float *x = X + t * d;
        size_t best = 0;
        float score = -INFINITY, best_v = 0, best_m = 0;
        for (size_t k = 0; k < K; k++) {
            const float *A = P + k * d * d;
            float *uk = u + k * d, v = 0, m = 0;
            for (size_t i = 0; i < d; i++) {
                const float *row = A + i * d;
                float s = 0;
                for (size_t j = 0; j < d; j++) s += row[j] * x[j];
                uk[i] = s;
            }
            for (size_t i = 0; i < d; i++) {
                v += x[i] * uk[i];
                m += x[i] * theta[k * d + i];
            }
            const float own = m + 0.5f * sqrtf(v > 0 ? v : 0);
            if (own > score) score = own, best = k, best_v = v, best_m = m;
        }
        const float r = R[t * K + best];
        reward += R[t * K + best];
        float *A = P + best * d * d, *uk = u + best * d;
        const float f = 1 / (1 + best_v), e = (r - best_m) * f;
        for (size_t i = 0; i < d; i++) {
            const float a = uk[i] * f;
            for (size_t j = 0; j < d; j++) A[i * d + j] -= a * uk[j];
        }
        for (size_t i = 0; i < d; i++) theta[best * d + i] += e * uk[i];
    }
    const double cpu = cpu_seconds() - start;
    printf("{\"events\": %zu, \"cpu\": %.9f, \"peak_mb\": %.1f, \"reward\": %.6f}\n", T, cpu,
           peak_mb(), (double)reward / (double)T);
    return 0;
}
