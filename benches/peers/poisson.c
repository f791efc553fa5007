/* 1,000 Poisson bootstrap resamples of four columns: the peer of ope::PoissonBootstrap.
 * gcc -O3 [-march=native] poisson.c -lm -o poisson && ./poisson ROWS RESAMPLES
 * One row after the other, all resamples inside: a generator of 64 bits and a table of 65,536. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    size_t n = strtoull(arguments[1], NULL, 10), b = (strtoull(arguments[2], NULL, 10) + 3) / 4 * 4;
    static float table[65536];
    double p = exp(-1), end = p * 65536;
    for (int i = 0, k = 0; i < 65536; i++) {
        while (i >= end && k < 12) p /= ++k, end += p * 65536;
        table[i] = k;
    }
    float *x = malloc(4 * n * sizeof *x);
    for (size_t i = 0; i < 4 * n; i++) x[i] = (mix(i) >> 40) * 0x1p-24f;
    float *partial = calloc(4 * b, sizeof *partial);
    double *sums = calloc(4 * b, sizeof *sums);
    float *w = malloc(b * sizeof *w);
    double start = cpu_seconds();
    for (size_t i = 0; i < n; i++) {
        uint64_t state = mix(i);
        for (size_t j = 0; j < b; j += 4) {
            uint64_t r = state += 0x9E3779B97F4A7C15u;
            r = (r ^ (r >> 32)) * 0xD6E8FEB86659FD93u;
            r ^= r >> 32;
            w[j] = table[r & 65535], w[j + 1] = table[r >> 16 & 65535];
            w[j + 2] = table[r >> 32 & 65535], w[j + 3] = table[r >> 48];
        }
        for (int m = 0; m < 4; m++)
            for (size_t j = 0; j < b; j++) partial[m * b + j] += w[j] * x[4 * i + m];
        if (i % 64 == 63 || i + 1 == n)
            for (size_t j = 0; j < 4 * b; j++) sums[j] += partial[j], partial[j] = 0;
    }
    printf("cpu_seconds %.4f\n", cpu_seconds() - start);
    printf("first %.6g\n", sums[0]);
}
