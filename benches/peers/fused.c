/* Seven off-policy estimators with variances in one pass: the peer of ope::fused.
 * gcc -O3 [-march=native] fused.c -lm -o fused && ./fused FOLDER ROWS ARMS REPEATS
 * Prints CPU seconds (user + system) per pass, then the seven estimates with standard errors. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void *column(const char *folder, const char *name, size_t bytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.bin", folder, name);
    FILE *file = fopen(path, "rb");
    void *data = malloc(bytes);
    if (!file || !data || fread(data, 1, bytes, file) != bytes) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    fclose(file);
    return data;
}

struct sums {
    double ips, ips2, w, w2, wwr, clip, clip2, dm, dm2, dr, dr2, sw, sw2, os, os2;
};

/* One row after the other, all sums in registers: what one writes for speed by hand. */
#define PASS(NAME, K)                                                                           \
    static struct sums NAME(size_t n, size_t arms, const uint8_t *restrict action,              \
                            const float *restrict outcome, const float *restrict propensity,    \
                            const float *restrict target, const float *restrict predictions,    \
                            float clip, float tau, float lambda) {                              \
        struct sums s = {0};                                                                    \
        (void)arms;                                                                             \
        for (size_t i = 0; i < n; i++) {                                                        \
            const float *t = target + i * (K), *q = predictions + i * (K);                      \
            float direct = 0;                                                                   \
            for (size_t k = 0; k < (K); k++) direct += t[k] * q[k];                             \
            size_t a = action[i];                                                               \
            float w = t[a] / propensity[i], r = outcome[i], left = r - q[a];                    \
            double ips = w * r, clipped = fminf(w, clip) * r, dr = direct + w * left;           \
            double sw = direct + (w <= tau ? w : 0) * left;                                     \
            double os = direct + lambda * w / (w * w + lambda) * left;                          \
            s.ips += ips, s.ips2 += ips * ips, s.w += w, s.w2 += (double)w * w;                 \
            s.wwr += w * ips, s.clip += clipped, s.clip2 += clipped * clipped;                  \
            s.dm += direct, s.dm2 += (double)direct * direct, s.dr += dr, s.dr2 += dr * dr;     \
            s.sw += sw, s.sw2 += sw * sw, s.os += os, s.os2 += os * os;                         \
        }                                                                                       \
        return s;                                                                               \
    }

PASS(pass_10, 10)
PASS(pass_any, arms)

static void show(const char *name, double sum, double squares, double n) {
    double mean = sum / n;
    printf("%s %.9g %.9g\n", name, mean, sqrt((squares / n - mean * mean) / (n - 1)));
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    const char *folder = arguments[1];
    size_t n = strtoull(arguments[2], NULL, 10), arms = strtoull(arguments[3], NULL, 10);
    int repeats = atoi(arguments[4]);
    uint8_t *action = column(folder, "action", n);
    float *outcome = column(folder, "outcome", 4 * n), *propensity = column(folder, "propensity", 4 * n);
    float *target = column(folder, "target", 4 * n * arms);
    float *predictions = column(folder, "predictions", 4 * n * arms);
    struct sums s;
    double start = cpu_seconds();
    for (int i = 0; i < repeats; i++)
        s = (arms == 10 ? pass_10 : pass_any)(n, arms, action, outcome, propensity, target,
                                              predictions, 10, 10, 10);
    printf("cpu_seconds %.6f\n", (cpu_seconds() - start) / repeats);
    show("IPS", s.ips, s.ips2, n);
    double snips = s.ips / s.w;
    printf("SNIPS %.9g %.9g\n", snips,
           sqrt((s.ips2 - 2 * snips * s.wwr + snips * snips * s.w2) * n / (n - 1)) / s.w);
    show("clipped-IPS", s.clip, s.clip2, n);
    show("DM", s.dm, s.dm2, n);
    show("DR", s.dr, s.dr2, n);
    show("Switch-DR", s.sw, s.sw2, n);
    show("DRos", s.os, s.os2, n);
}
