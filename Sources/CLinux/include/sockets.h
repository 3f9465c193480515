// Listening sockets, the program that steers between them, and what the kernel says of the sockets on a port.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/// An address of AF_INET (4 bytes), AF_INET6 (16) or AF_UNIX (`path`, NUL-terminated).
struct cl_address {
  int family;
  uint8_t bytes[16];
  /// Host byte order.
  uint16_t port;
  char path[108];
};

/// socket(2), close-on-exec. `type` is SOCK_STREAM or SOCK_DGRAM, possibly with SOCK_NONBLOCK.
int cl_socket(int family, int type);
int cl_bind(int fd, const struct cl_address *address);
int cl_connect(int fd, const struct cl_address *address);
/// connect(2) to AF_UNSPEC: a TCP socket neither listens nor is connected any more, and was never shut down. It stays bound
/// to the port that bind(2) named.
int cl_disconnect(int fd);
/// getsockname(2); the family is 0 for one this project does not use.
int cl_local_address(int fd, struct cl_address *address);
/// accept4(2), close-on-exec and non-blocking, without the peer's address.
int cl_accept(int listener);
/// SO_PEERCRED; -1 and errno.
int cl_peer_credentials(int fd, int32_t *pid, uint32_t *uid, uint32_t *gid);
/// sendmsg(2) with one descriptor beside the bytes (SCM_RIGHTS); never SIGPIPE.
ssize_t cl_send_with(int fd, const void *bytes, size_t length, int passed);

/// sendmmsg(2) of two, without waiting: a process that is killed has sent both or none, unless the receiver's queue was full
/// between them. How many were sent, or -1; never SIGPIPE.
int cl_send_both(int fd, const struct msghdr *first, const struct msghdr *second);
/// recvmsg(2). `passed` gets the first descriptor that came, close-on-exec, or -1; others are closed.
ssize_t cl_receive_with(int fd, void *bytes, size_t length, int *passed);
int cl_set_option(int fd, int level, int name, int value);
int cl_get_option(int fd, int level, int name, int *value);

/// Names <sys/socket.h> has, as numbers Swift reads without the header.
static const int CL_SO_REUSEPORT = 15;
static const int CL_SO_MARK = 36;

/// One instruction of classic BPF, as struct sock_filter.
struct cl_instruction {
  uint16_t code;
  uint8_t if_true, if_false;
  uint32_t value;
};

/// SO_ATTACH_REUSEPORT_CBPF: the program's answer is the index of the listener that takes a new connection.
int cl_attach_steering(int fd, const struct cl_instruction *program, size_t count);
/// Drops everything that comes to a socket that is not connected, and takes that back: SO_ATTACH_FILTER with "drop
/// everything", or, where that is not permitted, IP_MINTTL and IPV6_MINHOPCOUNT of 255.
int cl_shut_door(int fd);
int cl_open_door(int fd);

/// SO_ATTACH_FILTER and SO_DETACH_FILTER: what the program answers 0 to is thrown away before it is in the queue.
int cl_attach_filter(int fd, const struct cl_instruction *program, size_t count);
int cl_detach_filter(int fd);
/// How many instructions the filter has that is there; 0: there is none, or it cannot be read.
int cl_filter_length(int fd);
/// SK_MEMINFO_DROPS of SO_MEMINFO: what was thrown away at this socket since it was made; -1: the kernel does not say.
int64_t cl_dropped(int fd);

/// One socket as sock_diag(7) shows it.
struct cl_socket_entry {
  int family;
  uint8_t local[16], remote[16];
  uint16_t local_port, remote_port;
  uint32_t inode;
  uint32_t uid;
  /// For a listener: connections waiting to be accepted.
  uint32_t queued;
  uint8_t state;
  /// In which directions it was shut down: 1 receiving, 2 sending.
  uint8_t shut;
  /// Of one that has ended and is kept for a while (TIME_WAIT, or FIN_WAIT2 without a process): for how many ms yet; else 0.
  uint32_t kept_ms;
  /// The cgroup it was made in, by the number of its directory; 0 where the kernel does not say.
  uint64_t cgroup;
};

/// Lists the sockets of `family` and `protocol` (IPPROTO_TCP, IPPROTO_UDP) whose state is in `states` (1 << TCP_…) and
/// whose local port is `port`. Returns how many there are, at most `capacity` of them stored, or -1 and errno.
int cl_list_sockets(
    int family, int protocol, uint32_t states, uint16_t port, struct cl_socket_entry *entries, int capacity);
