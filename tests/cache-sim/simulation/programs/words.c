/* SPDX-License-Identifier: GPL-3.0-or-later
 * Counts words of its input in a chained hash table: pointers, strings, the allocator, lazy binding. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
  struct word *next;
  unsigned count;
  char text[];
};

#define BUCKETS 257
static struct word *table[BUCKETS];

static void count(const char *text) {
  unsigned hash = 5381;
  for (const char *at = text; *at; ++at) hash = hash * 33 + (unsigned char)*at;
  struct word **bucket = &table[hash % BUCKETS];
  for (struct word *word = *bucket; word; word = word->next) {
    if (strcmp(word->text, text) == 0) {
      ++word->count;
      return;
    }
  }
  struct word *word = malloc(sizeof *word + strlen(text) + 1);
  if (!word) exit(1);
  word->next = *bucket;
  word->count = 1;
  strcpy(word->text, text);
  *bucket = word;
}

int main(void) {
  char text[64];
  while (scanf("%63s", text) == 1) count(text);
  unsigned most = 0;
  for (unsigned i = 0; i < BUCKETS; ++i) {
    for (struct word *word = table[i]; word; word = word->next) {
      if (word->count > most) most = word->count;
    }
  }
  printf("%u\n", most);
  return 0;
}
