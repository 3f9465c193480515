#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int cl_socket(int family, int type) { return socket(family, type | SOCK_CLOEXEC, 0); }

static socklen_t to_kernel(const struct cl_address *address, struct sockaddr_storage *storage) {
  memset(storage, 0, sizeof *storage);
  storage->ss_family = (sa_family_t)address->family;
  switch (address->family) {
    case AF_INET: {
      struct sockaddr_in *in = (struct sockaddr_in *)storage;
      memcpy(&in->sin_addr, address->bytes, 4);
      in->sin_port = htons(address->port);
      return sizeof *in;
    }
    case AF_INET6: {
      struct sockaddr_in6 *in = (struct sockaddr_in6 *)storage;
      memcpy(&in->sin6_addr, address->bytes, 16);
      in->sin6_port = htons(address->port);
      return sizeof *in;
    }
    default: {
      struct sockaddr_un *un = (struct sockaddr_un *)storage;
      size_t length = strnlen(address->path, sizeof un->sun_path - 1);
      memcpy(un->sun_path, address->path, length);
      return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    }
  }
}

ssize_t cl_send_with(int fd, const void *bytes, size_t length, int passed) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  memset(&control, 0, sizeof control);
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &passed, sizeof passed);
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

int cl_send_both(int fd, const struct msghdr *first, const struct msghdr *second) {
  struct mmsghdr both[2] = {{.msg_hdr = *first}, {.msg_hdr = *second}};
  return sendmmsg(fd, both, 2, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t cl_receive_with(int fd, void *bytes, size_t length, int *passed) {
  // Room for all that may come at once (SCM_MAX_FD): what is cut off for want of room would be lost, not closed by us.
  union {
    char bytes[CMSG_SPACE(sizeof(int) * 253)];
    struct cmsghdr align;
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = length};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  *passed = -1;
  ssize_t count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (count < 0) return count;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t descriptors = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < descriptors; index++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof descriptor);
      if (*passed < 0) *passed = descriptor; else close(descriptor);
    }
  }
  return count;
}

int cl_bind(int fd, const struct cl_address *address) {
  struct sockaddr_storage storage;
  socklen_t length = to_kernel(address, &storage);
  return bind(fd, (struct sockaddr *)&storage, length);
}

int cl_connect(int fd, const struct cl_address *address) {
  struct sockaddr_storage storage;
  socklen_t length = to_kernel(address, &storage);
  return connect(fd, (struct sockaddr *)&storage, length);
}

int cl_disconnect(int fd) {
  const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
  return connect(fd, &nobody, sizeof nobody);
}

int cl_local_address(int fd, struct cl_address *address) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  memset(address, 0, sizeof *address);
  if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0) return -1;
  switch (storage.ss_family) {
    case AF_INET: {
      struct sockaddr_in *in = (struct sockaddr_in *)&storage;
      memcpy(address->bytes, &in->sin_addr, 4);
      address->port = ntohs(in->sin_port);
      break;
    }
    case AF_INET6: {
      struct sockaddr_in6 *in = (struct sockaddr_in6 *)&storage;
      memcpy(address->bytes, &in->sin6_addr, 16);
      address->port = ntohs(in->sin6_port);
      break;
    }
    case AF_UNIX: {
      struct sockaddr_un *un = (struct sockaddr_un *)&storage;
      size_t length_of_path = length > offsetof(struct sockaddr_un, sun_path) ? length - offsetof(struct sockaddr_un, sun_path) : 0;
      if (length_of_path > sizeof address->path - 1) length_of_path = sizeof address->path - 1;
      memcpy(address->path, un->sun_path, length_of_path);
      break;
    }
    default: return 0;
  }
  address->family = storage.ss_family;
  return 0;
}

int cl_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int cl_peer_credentials(int fd, int32_t *pid, uint32_t *uid, uint32_t *gid) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
  *pid = peer.pid;
  *uid = peer.uid;
  *gid = peer.gid;
  return 0;
}

int cl_set_option(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value); }

int cl_get_option(int fd, int level, int name, int *value) {
  socklen_t length = sizeof *value;
  return getsockopt(fd, level, name, value, &length);
}

static int attach(int fd, int option, const struct cl_instruction *program, size_t count) {
  struct sock_filter filter[BPF_MAXINSNS < 64 ? BPF_MAXINSNS : 64];
  if (count > sizeof filter / sizeof *filter) {
    errno = E2BIG;
    return -1;
  }
  for (size_t i = 0; i < count; i++)
    filter[i] = (struct sock_filter){program[i].code, program[i].if_true, program[i].if_false, program[i].value};
  struct sock_fprog whole = {(unsigned short)count, filter};
  return setsockopt(fd, SOL_SOCKET, option, &whole, sizeof whole);
}

int cl_attach_steering(int fd, const struct cl_instruction *program, size_t count) {
  return attach(fd, SO_ATTACH_REUSEPORT_CBPF, program, count);
}

// A packet must have at least this many hops left: nothing that was sent the usual way (64, 128) has 255.
static int set_hops(int fd, int hops) {
  int family = 0;
  socklen_t length = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return -1;
  if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &hops, sizeof hops) != 0) return -1;
  return setsockopt(fd, IPPROTO_IP, IP_MINTTL, &hops, sizeof hops);
}

int cl_attach_filter(int fd, const struct cl_instruction *program, size_t count) {
  return attach(fd, SO_ATTACH_FILTER, program, count);
}

int cl_detach_filter(int fd) {
  int unused = 0;
  return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

int cl_filter_length(int fd) {
  // Asked for no instruction at all, the kernel says how many there are.
  socklen_t count = 0;
  return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &count) == 0 ? (int)count : 0;
}

int64_t cl_dropped(int fd) {
  uint32_t memory[16] = {0};
  socklen_t size = sizeof memory;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0) return -1;
  return size > SK_MEMINFO_DROPS * sizeof *memory ? (int64_t)memory[SK_MEMINFO_DROPS] : -1;
}

int cl_shut_door(int fd) {
  const struct cl_instruction drop = {BPF_RET | BPF_K, 0, 0, 0};
  if (attach(fd, SO_ATTACH_FILTER, &drop, 1) == 0) return 0;
  // Some kernels ask for CAP_NET_ADMIN.
  return errno == EPERM ? set_hops(fd, 255) : -1;
}

int cl_open_door(int fd) {
  int unused = 0;
  if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) == 0) return 0;
  // ENOENT: there was no filter, so the door is the other one.
  return errno == ENOENT || errno == EPERM ? set_hops(fd, 0) : -1;
}

static void store(struct cl_socket_entry *entry, const struct inet_diag_msg *message) {
  memset(entry, 0, sizeof *entry);
  entry->family = message->idiag_family;
  memcpy(entry->local, message->id.idiag_src, 16);
  memcpy(entry->remote, message->id.idiag_dst, 16);
  entry->local_port = ntohs(message->id.idiag_sport);
  entry->remote_port = ntohs(message->id.idiag_dport);
  entry->inode = message->idiag_inode;
  entry->uid = message->idiag_uid;
  entry->queued = message->idiag_rqueue;
  entry->state = message->idiag_state;
  // 3: the timer of TIME_WAIT, which is of both states.
  entry->kept_ms = message->idiag_timer == 3 ? message->idiag_expires : 0;
}

static void store_attributes(
    struct cl_socket_entry *entry, const struct nlmsghdr *header, const struct inet_diag_msg *message) {
  const struct rtattr *attribute = (const struct rtattr *)(message + 1);
  int left = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof *message);
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type == INET_DIAG_CGROUP_ID && RTA_PAYLOAD(attribute) >= sizeof entry->cgroup)
      memcpy(&entry->cgroup, RTA_DATA(attribute), sizeof entry->cgroup);
    if (attribute->rta_type == INET_DIAG_SHUTDOWN && RTA_PAYLOAD(attribute) >= sizeof entry->shut)
      memcpy(&entry->shut, RTA_DATA(attribute), sizeof entry->shut);
  }
}

int cl_list_sockets(
    int family, int protocol, uint32_t states, uint16_t port, struct cl_socket_entry *entries, int capacity) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return -1;
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
  } ask = {
      .header = {.nlmsg_len = sizeof ask, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .request = {
          .sdiag_family = (uint8_t)family, .sdiag_protocol = (uint8_t)protocol, .idiag_states = states,
          .id = {.idiag_sport = htons(port)}},
  };
  int found = 0;
  if (send(fd, &ask, sizeof ask, 0) != sizeof ask) goto failed;
  for (;;) {
    // Aligned for struct nlmsghdr; the kernel fills at most this much at a time.
    _Alignas(struct nlmsghdr) char buffer[32768];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) goto failed;
    for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, (size_t)got);
         header = NLMSG_NEXT(header, got)) {
      if (header->nlmsg_type == NLMSG_DONE) {
        close(fd);
        return found;
      }
      if (header->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = NLMSG_DATA(header);
        errno = error->error < 0 ? -error->error : EIO;
        goto failed;
      }
      const struct inet_diag_msg *message = NLMSG_DATA(header);
      // The kernel's own filter on the port is only a hint for some kinds of sockets.
      if (ntohs(message->id.idiag_sport) != port) continue;
      if (found < capacity) {
        store(&entries[found], message);
        store_attributes(&entries[found], header, message);
      }
      found++;
    }
  }
failed: {
  int saved = errno;
  close(fd);
  errno = saved;
  return -1;
}
}
