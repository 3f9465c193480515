// One HTTP question through libcurl, from its beginning to its end. libcurl is opened when the first question is asked:
// linking it would make every start of `baton` load some thirty libraries, also of commands that ask nobody.
// Source: libcurl-easy(3), libcurl-multi(3).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// All pointers belong to the caller and stay valid during the call.
struct cc_question {
  const char *url;
  const char *method;
  /// "Name: value" each.
  const char *const *headers;
  size_t header_count;
  /// Asked through this Unix socket; NULL for TCP.
  const char *unix_path;
  /// Certificates to trust instead of the system's; NULL for the system's.
  const char *ca_file;
  /// HOST:PORT:CONNECT-TO-HOST:CONNECT-TO-PORT, see CURLOPT_CONNECT_TO; NULL for none.
  const char *connect_to;
  int64_t connect_timeout_ms;
  int64_t timeout_ms;
  int64_t redirects;
  /// Bytes of the body that are kept; a longer one is cut, and the rest not read.
  size_t body_limit;
  /// Ends the question as soon as it is readable; -1 for none.
  int abort_descriptor;
  /// Gives a socket, not connected, for each connection to `host` (an IP address) that is needed, or -1; libcurl closes
  /// it. NULL lets libcurl make them.
  int (*take_socket)(void *context, const char *host, int port);
  void *context;
};

enum cc_end {
  CC_ANSWERED,
  CC_FAILED,
  CC_ABORTED,
  /// libcurl cannot be used at all.
  CC_UNUSABLE,
};

struct cc_answer {
  enum cc_end end;
  /// CURLcode, where the end is CC_FAILED.
  int code;
  /// In libcurl's words.
  char reason[512];
  int64_t status;
  int64_t redirects;
  int64_t connected_us;
  int64_t took_us;
  bool body_is_cut;
  uint8_t *body;
  size_t body_length;
  /// Of the last response; empty where it sent none to go to.
  char location[1024];
  char peer[64];
  int64_t peer_port;
};

/// Asks and waits for the end. `answer` is overwritten; give what it holds back with cc_release.
void cc_ask(const struct cc_question *question, struct cc_answer *answer);
void cc_release(struct cc_answer *answer);

/// Codes that a caller tells apart, whatever this libcurl calls them.
enum cc_trouble {
  CC_TROUBLE_OTHER,
  CC_TROUBLE_URL,
  CC_TROUBLE_RESOLVE,
  CC_TROUBLE_CONNECT,
  CC_TROUBLE_TIMEOUT,
  CC_TROUBLE_REDIRECTS,
  CC_TROUBLE_TLS,
  CC_TROUBLE_CUT,
};
enum cc_trouble cc_trouble(int code);
