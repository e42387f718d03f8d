/* SPDX-License-Identifier: GPL-3.0-or-later
 * Three matrices of doubles, multiplied in the textbook's order: long strides in one of them. */
#include <stdio.h>

#define SIZE 72

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

int main(void) {
  for (int i = 0; i < SIZE; ++i) {
    for (int j = 0; j < SIZE; ++j) {
      a[i][j] = i + j;
      b[i][j] = i - j;
    }
  }
  for (int i = 0; i < SIZE; ++i) {
    for (int j = 0; j < SIZE; ++j) {
      double sum = 0;
      for (int k = 0; k < SIZE; ++k) sum += a[i][k] * b[k][j];
      c[i][j] = sum;
    }
  }
  printf("%g\n", c[7][11]);
  return 0;
}
