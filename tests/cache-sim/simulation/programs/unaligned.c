/* SPDX-License-Identifier: GPL-3.0-or-later
 * Loads, stores and read-modify-writes that cross lines, of 2 to 64 bytes, and the x87 state of 108 and 512 bytes. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct __attribute__((packed)) record {
  char tag;
  uint64_t value;
  uint16_t small;
  double real;
};

static struct record records[1000];
static char text[9000];
static _Alignas(16) char state[512];

int main(void) {
  uint64_t sum = 0;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 1000; ++i) {
      records[i].value += (uint64_t)i;
      records[i].small = (uint16_t)(records[i].small ^ 3U);
      records[i].real += 0.5;
      sum += records[i].value;
    }
    for (int offset = 0; offset < 64; ++offset) memmove(text + offset, text + 4000 + 3 * offset, 700);
#if defined(__x86_64__)
    __asm__ volatile("fxsave %0\n\tfxrstor %0" : "+m"(state));
    __asm__ volatile("lock xaddq %0, %1" : "+r"(sum), "+m"(*(uint64_t *)(text + 61)));
    __asm__ volatile("movdqu %0, %%xmm1\n\tmovdqu %%xmm1, %1" : : "m"(text[55]), "m"(text[119]) : "xmm1", "memory");
#endif
  }
  printf("%llu\n", (unsigned long long)sum);
  return 0;
}
