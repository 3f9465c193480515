// libarchive as Swift calls it, and the little of archives that Swift cannot say: threads that hand blocks to each other.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// openat2(2): what `path` names, with O_PATH, without ever leaving `directory`; -1 and errno, EXDEV where it would.
int ca_open_beneath(int directory, const char *path);

/// sync_file_range(2): these bytes are on their way to the disk; nobody waits, and nothing is promised.
void ca_begin_sync(int file, off_t offset, off_t length);

// --- pump.c: a compressed stream unpacked on a thread of its own, ahead of the reader

struct ca_pump;

/// Bytes of a file.
struct ca_part {
  uint64_t offset, length;
};

/// Begins to unpack what `input` holds: gzip, zstd, xz, bzip2 or nothing. `input` stays the caller's and must outlive the
/// pump. With `parts` only those of the file are read, each unpacked by itself (not gzip), as if what they hold followed
/// each other. As soon as `abort` (or -1) is readable, reading ends with ECANCELED. NULL and errno where there is no
/// thread.
struct ca_pump *ca_pump_start(int input, int abort, const struct ca_part *parts, size_t count);

/// Opens `reader`, which has its formats, over the pump's blocks. As archive_read_open.
int ca_pump_open(struct ca_pump *pump, struct archive *reader);

/// Takes and forgets what is left. True when the whole stream was sound.
bool ca_pump_drain(struct ca_pump *pump);

/// What ended the stream before its end: an errno (ECANCELED, EIO, …) or 0 for a damaged stream; only once a read of it
/// has failed. `text` gets libarchive's words, up to `size` bytes with the NUL.
int ca_pump_trouble(struct ca_pump *pump, char *text, size_t size);

/// Bytes of the input read so far.
uint64_t ca_pump_taken(struct ca_pump *pump);

/// How many zero bytes stood at the very end of the unpacked stream; valid after ca_pump_drain.
uint64_t ca_pump_trailing_zeros(struct ca_pump *pump);

/// Where in the unpacked stream that begins which a part holds; valid after ca_pump_drain.
uint64_t ca_pump_part_start(struct ca_pump *pump, size_t index);

/// Ends the thread, wherever it waits, and gives everything back.
void ca_pump_end(struct ca_pump *pump);

// --- framer.c: blocks compressed on all processors

struct ca_framer;

/// Begins `threads` threads that make a zstd frame or a gzip member of each block of up to `block` bytes. NULL and errno.
struct ca_framer *ca_framer_start(bool gzip, int level, unsigned threads, size_t block);

/// Where the next block goes; NULL when a frame must be released first.
void *ca_framer_block(struct ca_framer *framer);

/// The block that was filled, `length` bytes of it.
void ca_framer_submit(struct ca_framer *framer, size_t length);

/// The oldest frame that was not released, valid until it is; 0 where there is none, or none yet without `wait`.
/// SIZE_MAX and errno where it could not be compressed.
size_t ca_framer_take(struct ca_framer *framer, bool wait, const void **frame);
void ca_framer_release(struct ca_framer *framer);

/// Ends the threads; what was not taken is lost.
void ca_framer_end(struct ca_framer *framer);
