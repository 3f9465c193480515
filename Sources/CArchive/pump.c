#define _GNU_SOURCE
#include "CArchive.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zlib.h>

// Unpacking and writing files then take the time of the longer of the two instead of both.

enum { BLOCK = 512 * 1024, BLOCKS = 6, INPUT = 256 * 1024, TEXT = 256 };

struct block {
  size_t length;
  char *bytes;
};

struct ca_pump {
  int input, abort, cancel;
  // Only these, where there are any: the one that is read is cut from its start.
  struct ca_part *parts, *part;
  size_t part_count;
  // Where each begins in what is unpacked.
  uint64_t *starts;
  uint64_t unpacked;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t filled, emptied;
  // Blocks [taken, given) are full; the reader holds block `taken` until it asks for the next.
  unsigned given, taken;
  bool holds, ended, cancelled;
  bool failed;
  int trouble;
  char text[TEXT];
  uint64_t read;
  uint64_t zeros;
  // Bytes of the buffer that were looked at and not yet unpacked.
  size_t ahead;
  struct block blocks[BLOCKS];
  char buffer[INPUT];
};

// On the pump's thread: more of the input into the buffer, behind `start`; 0 at its end, -1 and errno. Waits with poll so
// that it can be ended while a pipe is silent.
static ssize_t more(struct ca_pump *pump, size_t start) {
  struct ca_part *part = pump->part;
  if (part && part->length == 0) return 0;
  for (;;) {
    struct pollfd wait[3] = {{.fd = pump->input, .events = POLLIN},
                             {.fd = pump->cancel, .events = POLLIN},
                             {.fd = pump->abort, .events = POLLIN}};
    if (poll(wait, 3, -1) < 0) {
      if (errno == EINTR) continue;
      return -1;
    }
    if (wait[1].revents || wait[2].revents) return errno = ECANCELED, -1;
    size_t room = sizeof pump->buffer - start;
    if (part && room > part->length) room = part->length;
    ssize_t count = part ? pread(pump->input, pump->buffer + start, room, (off_t)part->offset)
                         : read(pump->input, pump->buffer + start, room);
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return -1;
    }
    if (part) {
      part->offset += (uint64_t)count;
      part->length -= (uint64_t)count;
    }
    __atomic_add_fetch(&pump->read, (uint64_t)count, __ATOMIC_RELAXED);
    return count;
  }
}

static la_ssize_t take_input(struct archive *archive, void *state, const void **block) {
  struct ca_pump *pump = state;
  *block = pump->buffer;
  if (pump->ahead) {
    size_t count = pump->ahead;
    pump->ahead = 0;
    return (la_ssize_t)count;
  }
  ssize_t count = more(pump, 0);
  if (count < 0) archive_set_error(archive, errno, "read");
  return count < 0 ? ARCHIVE_FATAL : count;
}

// `trouble`: an errno, or 0 for a damaged stream.
static void finish(struct ca_pump *pump, bool failed, int trouble, const char *text) {
  pthread_mutex_lock(&pump->lock);
  pump->ended = true;
  pump->failed = failed;
  pump->trouble = trouble;
  snprintf(pump->text, sizeof pump->text, "%s", text ? text : "the stream is damaged");
  pthread_cond_signal(&pump->filled);
  pthread_mutex_unlock(&pump->lock);
}

// The next empty block, or NULL when the pump is to end.
static struct block *next_empty(struct ca_pump *pump) {
  pthread_mutex_lock(&pump->lock);
  while (pump->given - pump->taken == BLOCKS && !pump->cancelled) pthread_cond_wait(&pump->emptied, &pump->lock);
  struct block *block = pump->cancelled ? NULL : &pump->blocks[pump->given % BLOCKS];
  pthread_mutex_unlock(&pump->lock);
  return block;
}

static void hand_over(struct ca_pump *pump) {
  pthread_mutex_lock(&pump->lock);
  pump->given += 1;
  pthread_cond_signal(&pump->filled);
  pthread_mutex_unlock(&pump->lock);
}

static void count_zeros(struct ca_pump *pump, const struct block *block) {
  size_t zeros = 0;
  while (zeros < block->length && block->bytes[block->length - 1 - zeros] == 0) zeros += 1;
  pump->zeros = zeros == block->length ? pump->zeros + zeros : zeros;
}

static struct archive *open_source(struct ca_pump *pump) {
  struct archive *source = archive_read_new();
  if (!source) return NULL;
  archive_read_support_format_raw(source);
  archive_read_support_filter_zstd(source);
  archive_read_support_filter_xz(source);
  archive_read_support_filter_bzip2(source);
  archive_read_open(source, pump, NULL, take_input, NULL);
  return source;
}

// One compressed stream. False where nothing more may follow: it said so, or is to end.
static bool unpack(struct ca_pump *pump) {
  struct archive *source = open_source(pump);
  if (!source) return finish(pump, true, ENOMEM, NULL), false;
  struct archive_entry *entry;
  int answer = archive_read_next_header(source, &entry);
  bool failed = answer != ARCHIVE_OK && answer != ARCHIVE_EOF, cancelled = false;
  while (answer == ARCHIVE_OK) {
    struct block *block = next_empty(pump);
    cancelled = !block;
    if (cancelled) break;
    la_ssize_t count = archive_read_data(source, block->bytes, BLOCK);
    if (count <= 0) {
      failed = count < 0;
      break;
    }
    block->length = (size_t)count;
    pump->unpacked += (uint64_t)count;
    count_zeros(pump, block);
    hand_over(pump);
  }
  int number = archive_errno(source);
  // ARCHIVE_ERRNO_MISC is -1, ARCHIVE_ERRNO_FILE_FORMAT is EILSEQ: not the kernel's words.
  bool isKernels = number > 0 && number != EILSEQ && number != EINVAL;
  if (failed) finish(pump, true, isKernels ? number : 0, archive_error_string(source));
  archive_read_free(source);
  return !failed && !cancelled;
}

static void run_any(struct ca_pump *pump) {
  if (unpack(pump)) finish(pump, false, 0, NULL);
}

static void run_parts(struct ca_pump *pump) {
  for (size_t i = 0; i < pump->part_count; i++) {
    pump->part = &pump->parts[i];
    pump->starts[i] = pump->unpacked;
    if (!unpack(pump)) return;
    // Also where a stream ends before its part does, or the file does.
    if (pump->part->length) return finish(pump, true, 0, "a part of it has another length");
  }
  finish(pump, false, 0, NULL);
}

// libarchive does not compare the checksums of gzip, zlib does. Members in a row are one stream (RFC 1952, 2.2); zeros
// behind them are a tape's.
static void run_gzip(struct ca_pump *pump) {
  z_stream stream = {.next_in = (Bytef *)pump->buffer, .avail_in = (uInt)pump->ahead};
  if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK) return finish(pump, true, ENOMEM, NULL);
  struct block *block = next_empty(pump);
  bool inMember = true, ended = false, failed = false;
  int trouble = 0;
  const char *text = NULL;
  while (block && !ended && !failed) {
    stream.next_out = (Bytef *)block->bytes;
    stream.avail_out = BLOCK;
    while (stream.avail_out > 0 && !ended && !failed) {
      if (stream.avail_in == 0) {
        ssize_t count = more(pump, 0);
        if (count < 0) failed = true, trouble = errno;
        if (count == 0) ended = true, failed = inMember, text = "it ends in the middle of gzip's data";
        if (count <= 0) break;
        stream.next_in = (Bytef *)pump->buffer;
        stream.avail_in = (uInt)count;
      }
      if (!inMember) {
        if (*stream.next_in == 0) {
          stream.next_in += 1;
          stream.avail_in -= 1;
          continue;
        }
        inMember = inflateReset(&stream) == Z_OK;
      }
      int answer = inflate(&stream, Z_NO_FLUSH);
      if (answer == Z_STREAM_END) inMember = false;
      else if (answer != Z_OK && answer != Z_BUF_ERROR) failed = true, text = stream.msg;
    }
    block->length = BLOCK - stream.avail_out;
    if (block->length == 0) break;
    count_zeros(pump, block);
    hand_over(pump);
    block = next_empty(pump);
  }
  finish(pump, failed, trouble, text);
  inflateEnd(&stream);
}

static void *run(void *state) {
  struct ca_pump *pump = state;
  if (pump->part_count) return run_parts(pump), NULL;
  while (pump->ahead < 2) {
    ssize_t count = more(pump, pump->ahead);
    if (count < 0) return finish(pump, true, errno, NULL), NULL;
    if (count == 0) break;
    pump->ahead += (size_t)count;
  }
  bool isGzip = pump->ahead >= 2 && pump->buffer[0] == '\x1f' && pump->buffer[1] == '\x8b';
  if (isGzip) run_gzip(pump);
  else run_any(pump);
  return NULL;
}

static void free_pump(struct ca_pump *pump) {
  free(pump->parts);
  free(pump->starts);
  free(pump);
}

struct ca_pump *ca_pump_start(int input, int abort, const struct ca_part *parts, size_t count) {
  struct ca_pump *pump = calloc(1, sizeof *pump);
  if (!pump) return NULL;
  if (count) {
    pump->parts = calloc(count, sizeof *parts);
    pump->starts = calloc(count, sizeof *pump->starts);
    if (!pump->parts || !pump->starts) return free_pump(pump), errno = ENOMEM, NULL;
    memcpy(pump->parts, parts, count * sizeof *parts);
    pump->part_count = count;
  }
  pump->input = input;
  pump->abort = abort;
  pump->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bool sound = pump->cancel >= 0;
  for (unsigned i = 0; sound && i < BLOCKS; i++) sound = (pump->blocks[i].bytes = malloc(BLOCK)) != NULL;
  pthread_mutex_init(&pump->lock, NULL);
  pthread_cond_init(&pump->filled, NULL);
  pthread_cond_init(&pump->emptied, NULL);
  int failure = sound ? 0 : errno;
  if (sound) {
    // Signals belong to the thread that decides.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failure = pthread_create(&pump->thread, NULL, run, pump);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  if (failure == 0) return pump;
  for (unsigned i = 0; i < BLOCKS; i++) free(pump->blocks[i].bytes);
  if (pump->cancel >= 0) close(pump->cancel);
  free_pump(pump);
  errno = failure;
  return NULL;
}

// On the reader's thread: gives back the block it held, waits for the next. 0 at the end, -1 in trouble.
static la_ssize_t next_full(struct ca_pump *pump, const void **bytes) {
  pthread_mutex_lock(&pump->lock);
  if (pump->holds) {
    pump->taken += 1;
    pump->holds = false;
    pthread_cond_signal(&pump->emptied);
  }
  while (pump->given == pump->taken && !pump->ended) pthread_cond_wait(&pump->filled, &pump->lock);
  la_ssize_t count;
  if (pump->given != pump->taken) {
    const struct block *block = &pump->blocks[pump->taken % BLOCKS];
    pump->holds = true;
    *bytes = block->bytes;
    count = (la_ssize_t)block->length;
  } else {
    *bytes = NULL;
    count = pump->failed ? -1 : 0;
  }
  pthread_mutex_unlock(&pump->lock);
  return count;
}

static la_ssize_t give_block(struct archive *reader, void *state, const void **bytes) {
  struct ca_pump *pump = state;
  la_ssize_t count = next_full(pump, bytes);
  if (count < 0) archive_set_error(reader, pump->trouble ? pump->trouble : EILSEQ, "%s", pump->text);
  return count;
}

int ca_pump_open(struct ca_pump *pump, struct archive *reader) {
  return archive_read_open(reader, pump, NULL, give_block, NULL);
}

bool ca_pump_drain(struct ca_pump *pump) {
  const void *bytes;
  la_ssize_t count;
  do count = next_full(pump, &bytes);
  while (count > 0);
  return count == 0;
}

int ca_pump_trouble(struct ca_pump *pump, char *text, size_t size) {
  pthread_mutex_lock(&pump->lock);
  bool failed = pump->ended && pump->failed;
  snprintf(text, size, "%s", failed ? pump->text : "");
  int trouble = failed ? pump->trouble : 0;
  pthread_mutex_unlock(&pump->lock);
  return trouble;
}

uint64_t ca_pump_taken(struct ca_pump *pump) { return __atomic_load_n(&pump->read, __ATOMIC_RELAXED); }

uint64_t ca_pump_trailing_zeros(struct ca_pump *pump) { return pump->zeros; }

uint64_t ca_pump_part_start(struct ca_pump *pump, size_t index) { return pump->starts[index]; }

void ca_pump_end(struct ca_pump *pump) {
  pthread_mutex_lock(&pump->lock);
  pump->cancelled = true;
  pthread_cond_signal(&pump->emptied);
  pthread_mutex_unlock(&pump->lock);
  uint64_t one = 1;
  ssize_t written = write(pump->cancel, &one, sizeof one);
  (void)written;  // The counter of an eventfd cannot be full at 1.
  pthread_join(pump->thread, NULL);
  for (unsigned i = 0; i < BLOCKS; i++) free(pump->blocks[i].bytes);
  close(pump->cancel);
  pthread_mutex_destroy(&pump->lock);
  pthread_cond_destroy(&pump->filled);
  pthread_cond_destroy(&pump->emptied);
  free_pump(pump);
}
