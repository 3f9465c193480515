#define _GNU_SOURCE
#include "CArchive.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

// Blocks go in and frames come out in the same order; in between all threads compress, each a whole block. A frame can be
// unpacked, copied and replaced without its neighbours, which the threads inside zstd would not give.

enum { THREADS_AT_MOST = 16 };

enum state { EMPTY, FULL, TAKEN, DONE };

struct slot {
  enum state state;
  char *input;
  size_t input_length;
  char *output;
  size_t output_length;
  int failure;
};

struct ca_framer {
  bool gzip;
  int level;
  size_t block, bound;
  pthread_mutex_t lock;
  pthread_cond_t submitted, finished;
  pthread_t threads[THREADS_AT_MOST];
  unsigned thread_count, slot_count;
  // Blocks are numbered; number n lies in slot n % slot_count. given >= taken >= released.
  uint64_t given, next, released;
  bool ending;
  struct slot *slots;
};

static int compress_zstd(struct ca_framer *framer, ZSTD_CCtx *context, struct slot *slot) {
  size_t length = ZSTD_compress2(context, slot->output, framer->bound, slot->input, slot->input_length);
  if (ZSTD_isError(length)) return ENOMEM;
  slot->output_length = length;
  return 0;
}

static int compress_gzip(struct ca_framer *framer, struct slot *slot) {
  z_stream stream = {0};
  // 16: a whole gzip member with its own checksum (zlib.h). Members in a row are one file (RFC 1952, 2.2).
  if (deflateInit2(&stream, framer->level, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return ENOMEM;
  stream.next_in = (Bytef *)slot->input;
  stream.avail_in = (uInt)slot->input_length;
  stream.next_out = (Bytef *)slot->output;
  stream.avail_out = (uInt)framer->bound;
  int answer = deflate(&stream, Z_FINISH);
  slot->output_length = framer->bound - stream.avail_out;
  deflateEnd(&stream);
  return answer == Z_STREAM_END ? 0 : ENOMEM;
}

static void *work(void *state) {
  struct ca_framer *framer = state;
  ZSTD_CCtx *context = NULL;
  if (!framer->gzip && (context = ZSTD_createCCtx())) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, framer->level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  }
  pthread_mutex_lock(&framer->lock);
  for (;;) {
    while (framer->next == framer->given && !framer->ending) pthread_cond_wait(&framer->submitted, &framer->lock);
    if (framer->ending) break;
    struct slot *slot = &framer->slots[framer->next++ % framer->slot_count];
    slot->state = TAKEN;
    pthread_mutex_unlock(&framer->lock);
    int failure = framer->gzip ? compress_gzip(framer, slot) : context ? compress_zstd(framer, context, slot) : ENOMEM;
    pthread_mutex_lock(&framer->lock);
    slot->failure = failure;
    slot->state = DONE;
    pthread_cond_signal(&framer->finished);
  }
  pthread_mutex_unlock(&framer->lock);
  ZSTD_freeCCtx(context);
  return NULL;
}

static bool make_slots(struct ca_framer *framer) {
  framer->slots = calloc(framer->slot_count, sizeof *framer->slots);
  if (!framer->slots) return false;
  for (unsigned i = 0; i < framer->slot_count; i++) {
    framer->slots[i].input = malloc(framer->block);
    framer->slots[i].output = malloc(framer->bound);
    if (!framer->slots[i].input || !framer->slots[i].output) return false;
  }
  return true;
}

struct ca_framer *ca_framer_start(bool gzip, int level, unsigned threads, size_t block) {
  struct ca_framer *framer = calloc(1, sizeof *framer);
  if (!framer) return NULL;
  if (threads < 1) threads = 1;
  if (threads > THREADS_AT_MOST) threads = THREADS_AT_MOST;
  framer->gzip = gzip;
  framer->level = level;
  framer->block = block;
  // deflate's bound with room for a gzip header and trailer.
  framer->bound = gzip ? compressBound(block) + 64 : ZSTD_compressBound(block);
  framer->slot_count = 4 * threads + 8;
  pthread_mutex_init(&framer->lock, NULL);
  pthread_cond_init(&framer->submitted, NULL);
  pthread_cond_init(&framer->finished, NULL);
  int failure = make_slots(framer) ? 0 : ENOMEM;
  // Signals belong to the thread that decides.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (failure == 0 && framer->thread_count < threads) {
    failure = pthread_create(&framer->threads[framer->thread_count], NULL, work, framer);
    if (failure == 0) framer->thread_count += 1;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  // One is enough.
  if (framer->thread_count > 0) return framer;
  ca_framer_end(framer);
  errno = failure;
  return NULL;
}

void *ca_framer_block(struct ca_framer *framer) {
  pthread_mutex_lock(&framer->lock);
  struct slot *slot = framer->given - framer->released < framer->slot_count
                          ? &framer->slots[framer->given % framer->slot_count]
                          : NULL;
  pthread_mutex_unlock(&framer->lock);
  return slot ? slot->input : NULL;
}

void ca_framer_submit(struct ca_framer *framer, size_t length) {
  pthread_mutex_lock(&framer->lock);
  struct slot *slot = &framer->slots[framer->given++ % framer->slot_count];
  slot->input_length = length;
  slot->state = FULL;
  pthread_cond_signal(&framer->submitted);
  pthread_mutex_unlock(&framer->lock);
}

size_t ca_framer_take(struct ca_framer *framer, bool wait, const void **frame) {
  size_t length = 0;
  *frame = NULL;
  pthread_mutex_lock(&framer->lock);
  if (framer->released < framer->given) {
    struct slot *slot = &framer->slots[framer->released % framer->slot_count];
    while (wait && slot->state != DONE) pthread_cond_wait(&framer->finished, &framer->lock);
    if (slot->state == DONE && slot->failure) {
      errno = slot->failure;
      length = SIZE_MAX;
    } else if (slot->state == DONE) {
      *frame = slot->output;
      length = slot->output_length;
    }
  }
  pthread_mutex_unlock(&framer->lock);
  return length;
}

void ca_framer_release(struct ca_framer *framer) {
  pthread_mutex_lock(&framer->lock);
  framer->slots[framer->released++ % framer->slot_count].state = EMPTY;
  pthread_mutex_unlock(&framer->lock);
}

void ca_framer_end(struct ca_framer *framer) {
  pthread_mutex_lock(&framer->lock);
  framer->ending = true;
  pthread_cond_broadcast(&framer->submitted);
  pthread_mutex_unlock(&framer->lock);
  for (unsigned i = 0; i < framer->thread_count; i++) pthread_join(framer->threads[i], NULL);
  for (unsigned i = 0; framer->slots && i < framer->slot_count; i++) {
    free(framer->slots[i].input);
    free(framer->slots[i].output);
  }
  free(framer->slots);
  pthread_mutex_destroy(&framer->lock);
  pthread_cond_destroy(&framer->submitted);
  pthread_cond_destroy(&framer->finished);
  free(framer);
}
