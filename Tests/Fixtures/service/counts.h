// How many of what this program was asked, in a file that every worker (and a test) maps: a bad version proves with it
// that it met no client.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

// 8 bytes each, in this order, native endianness, so that a test reads the file with one unpack.
struct counts {
  char magic[8];             // "FIXCOUNT"
  _Atomic uint64_t clients;  // requests of clients: neither of the next two
  _Atomic uint64_t health;   // requests for /health by others than the supervisor's probe
  _Atomic uint64_t probes;   // requests with User-Agent: baton-probe, whatever the path
  _Atomic uint64_t connections;
  _Atomic uint64_t datagrams;
  _Atomic uint64_t starts;  // programs that mapped the file
};

// Maps `path`, made when missing; without a path the counts live in this process alone.
struct counts *counts_open(const char *path);

// Prints the counts as one line of JSON; returns the exit status.
int counts_show(const char *path);
